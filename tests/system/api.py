"""A thin REST and WebSocket caller for system tests: statuses and bodies as they are, nothing hidden."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from podium.base.bundles import pack
from tests.agents import Source
from tests.system.daemons import ADMIN_KEY, Daemons

FRAME_SECONDS = 20.0
CALL_SECONDS = 90.0


@dataclass(frozen=True)
class Answer:
    """Status, headers and parsed body of an answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The body as JSON; None when it is empty."""
        return json.loads(self.text) if self.text else None

    @property
    def code(self) -> str:
        """The problem's code, with what every problem must have checked on the way."""
        assert self.headers["content-type"].startswith("application/problem+json"), self.text
        problem = self.body
        assert problem["status"] == self.status
        assert problem["type"]
        assert problem["title"]
        assert problem["detail"]
        assert problem["request_id"] == self.headers["x-request-id"]
        assert "Traceback" not in problem["detail"]
        return str(problem["code"])


@dataclass(frozen=True)
class Caller:
    """Calls the gateway with one key (None: without)."""

    daemons: Daemons
    session: aiohttp.ClientSession
    key: str | None

    def with_key(self, key: str | None) -> "Caller":
        """The same caller with another key."""
        return Caller(self.daemons, self.session, key)

    @property
    def admin(self) -> "Caller":
        """The same caller with the admin key."""
        return self.with_key(ADMIN_KEY)

    @property
    def headers(self) -> dict[str, str]:
        """The Authorization header, if there is a key."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    async def __call__(self, method: str, path: str, **more: Any) -> Answer:
        """One call; `json=`, `data=`, `headers=` as aiohttp takes them."""
        headers = {**self.headers, **more.pop("headers", {})}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        async with self.session.request(
            method, self.daemons.url + path, headers=headers, timeout=timeout, **more
        ) as answer:
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, lowered, await answer.text())

    async def upload(self, bundle: bytes, agent_type: str, version: str = "1.0.0") -> Answer:
        """`POST /api/v1/deployments` with these bytes."""
        form = aiohttp.FormData({"agent_type": agent_type, "version": version})
        form.add_field("file", io.BytesIO(bundle), filename="bundle.tar.gz", content_type="application/gzip")
        return await self("POST", "/api/v1/deployments", data=form)

    async def deploy(
        self, folder: Path, agent_type: str, code: Source | str, *, extra: str = "", version: str = "1.0.0"
    ) -> str:
        """Deploys a one-file agent (a text is in Python); returns the deployment id."""
        answer = await self.upload(
            bundle_of(folder, agent_type, code, extra=extra, version=version), agent_type, version
        )
        assert answer.status in (200, 201), answer.text
        return str(answer.body["deployment_id"])

    async def create(self, deployment_id: str, **more: Any) -> dict[str, Any]:
        """A new instance, ready."""
        answer = await self("POST", "/api/v1/instances", json={"deployment_id": deployment_id, **more})
        assert answer.status == 201, answer.text
        return dict(answer.body)

    @asynccontextmanager
    async def connect(self, instance_id: str, after: int | None = None) -> AsyncIterator["Stream"]:
        """A WebSocket to the instance, its `connected` frame read."""
        query = "" if after is None else f"?after={after}"
        url = f"{self.daemons.url}/api/v1/instances/{instance_id}/connect{query}"
        async with self.session.ws_connect(
            url, headers=self.headers, protocols=["podium.v1"], max_msg_size=0
        ) as socket:
            stream = Stream(socket)
            stream.connected = await stream.frame()
            assert stream.connected["messageType"] == "connected", stream.connected
            yield stream


class Stream:
    """A connection: frames one by one, or up to one that is looked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.connected: dict[str, Any] = {}
        self.seen: list[dict[str, Any]] = []

    async def frame(self) -> dict[str, Any]:
        """The next frame.

        Raises:
            AssertionError: the connection ended instead.
        """
        message = await self.socket.receive(FRAME_SECONDS)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        frame: dict[str, Any] = json.loads(message.data)
        if "seq" in frame:
            self.seen.append(frame)
        return frame

    async def until(self, kind: str, **content: Any) -> dict[str, Any]:
        """Reads to the first frame of this kind whose content has these values."""
        while True:
            frame = await self.frame()
            found = frame.get("content", {})
            if frame["messageType"] == kind and all(found.get(k) == v for k, v in content.items()):
                return frame

    async def say(self, text: str, **more: Any) -> None:
        """Sends a `process_message`."""
        await self.command("process_message", content={"text": text}, **more)

    async def command(self, kind: str, **fields: Any) -> None:
        """Sends a command."""
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def turn(self, text: str) -> str:
        """Sends a message and reads to the end of its turn; returns the text of the answer."""
        await self.say(text)
        end = await self.until("stream_end")
        await self.until("checkpoint")
        return str(end["content"]["text"])

    async def closed(self) -> int:
        """Reads until the connection ends; returns its close code."""
        while True:
            message = await self.socket.receive(FRAME_SECONDS)
            if message.type is aiohttp.WSMsgType.TEXT and '"seq":' in message.data:
                self.seen.append(json.loads(message.data))
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
                return int(self.socket.close_code or 1006)


def bundle_of(folder: Path, agent_type: str, code: Source | str, *, extra: str = "", version: str = "1.0.0") -> bytes:
    """A bundle with the agent's module (a text is in Python) and a manifest to which `extra` is added."""
    agent = Source("python", code) if isinstance(code, str) else code
    folder.mkdir(parents=True, exist_ok=True)
    (folder / agent.file).write_text(agent.code)
    head = (
        f'[agent]\ntype = "{agent_type}"\nversion = "{version}"\nruntime = "{agent.runtime}"\nentry = "{agent.entry}"\n'
    )
    (folder / "podium.toml").write_text(head + extra)
    packed = io.BytesIO()
    pack(folder, packed)
    return packed.getvalue()
