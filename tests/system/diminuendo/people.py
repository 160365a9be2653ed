"""A Diminuendo as a real process, and people's programs that talk to it over its WebSocket."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

from diminuendo.auth.key_file import add_key
from diminuendo.checking import findings
from diminuendo.domain.members import Role
from podium.client import ClientSettings, PodiumClient
from tests.waiting import free_port, wait_until

READY_SECONDS = 30.0
STOP_SECONDS = 20.0
ANSWER_SECONDS = 20.0

EVENT_FIELDS = frozenset({"sessionId", "turnId", "seq", "ts"})


class Process:
    """A `diminuendo serve` in a directory of its own; started, killed and started again."""

    def __init__(self, directory: Path, podium_url: str, podium_key: str, **environment: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.data = directory / "data"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PODIUM_", "OTEL_"))},
            "DIMINUENDO_PORT": str(self.port),
            "DIMINUENDO_DATA": str(self.data),
            "PODIUM_URL": podium_url,
            "PODIUM_API_KEY": podium_key,
            "LOG_FORMAT": "json",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def another(self, directory: Path, **environment: str) -> "Process":
        """One more, over the same platform."""
        known = self._environment
        return Process(directory, known["PODIUM_URL"], known["PODIUM_API_KEY"], **environment)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    def podium(self) -> PodiumClient:
        """A client of the platform behind it, with the same key."""
        return PodiumClient(ClientSettings(self._environment["PODIUM_URL"], self._environment["PODIUM_API_KEY"]))

    def key(self, user_id: str, tenant_id: str, role: str = "member") -> str:
        """An API key for somebody."""
        return add_key(self.data / "keys.json", user_id, tenant_id, Role(role))[0]

    async def start(self, **environment: str) -> None:
        """Starts it, and waits until it answers; `environment` goes over what it was made with."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "diminuendo.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "diminuendo", "serve"],
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        async with aiohttp.ClientSession() as http:
            await wait_until(lambda: self._answers(http), READY_SECONDS, "diminuendo is ready")

    def kill(self) -> None:
        """SIGKILL, and reaped."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_SECONDS)
        self._process = None

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Ends it, if it runs."""
        if self._process is not None:
            self.stop()

    def check(self) -> None:
        """What it left behind is sound. Nobody may have it open."""
        assert list(findings(self.data)) == []

    def said(self) -> str:
        """What it wrote."""
        return (self.directory / "diminuendo.log").read_text(errors="replace")

    async def _answers(self, http: aiohttp.ClientSession) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()[-4000:]
        try:
            async with http.get(f"{self.url}/health") as answer:
                return bool(answer.status == 200)
        except aiohttp.ClientError:
            return False


class ErrorAnswer(Exception):
    """A message was answered by `error`; `code` and `message` are the client's."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: str = error["code"]
        self.message: str = error["message"]
        self.retry_after_ms: int | None = error.get("retryAfterMs")


class Person:
    """A program of a person, on one connection: what it is told is kept, by kind."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.events: list[dict[str, Any]] = []
        """Events of all sessions it follows, as they came."""
        self.told: list[dict[str, Any]] = []
        """What else it was told by itself: greetings, heartbeats, errors nobody asked for, changes of sessions."""
        self._socket = socket
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Sends a message and returns its answer.

        Raises:
            ErrorAnswer: it is an error.
        """
        request_id = fields.pop("requestId", uuid.uuid4().hex)
        future = self._answers[request_id] = asyncio.get_running_loop().create_future()
        await self.say({"type": kind, "requestId": request_id, **fields})
        async with asyncio.timeout(ANSWER_SECONDS):
            answer: dict[str, Any] = await future
        if answer["type"] == "error":
            raise ErrorAnswer(answer)
        return answer

    async def say(self, message: dict[str, Any]) -> None:
        """Sends a message."""
        await self._socket.send_json(message)

    async def say_raw(self, text: str) -> None:
        """Sends a frame as it is."""
        await self._socket.send_str(text)

    async def until(self, kind: str, after: int = 0, **fields: Any) -> dict[str, Any]:
        """Waits for an event with these fields behind event number `after`."""

        def found() -> dict[str, Any] | None:
            assert not self.is_closed, f"closed with {self._socket.close_code} before {kind} {fields}: {self.kinds()}"
            return next(
                (
                    event
                    for event in self.events
                    if event["type"] == kind and event["seq"] > after and fields.items() <= event.items()
                ),
                None,
            )

        await wait_until(found, ANSWER_SECONDS, f"{kind} {fields} in {self.kinds()}")
        event = found()
        assert event is not None
        return event

    async def hears(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Waits for something that has no number, with these fields."""

        def found() -> dict[str, Any] | None:
            return next((said for said in self.told if said["type"] == kind and fields.items() <= said.items()), None)

        await wait_until(found, ANSWER_SECONDS, f"{kind} {fields} in {self.told}")
        said = found()
        assert said is not None
        return said

    def kinds(self) -> list[str]:
        """Types of the events so far."""
        return [event["type"] for event in self.events]

    @property
    def is_closed(self) -> bool:
        """Whether the server hung up."""
        return self._reading.done()

    async def closed(self) -> int | None:
        """Waits until the server hung up; the close code."""
        await wait_until(lambda: self.is_closed, ANSWER_SECONDS, "the connection is closed")
        return self._socket.close_code

    async def close(self) -> None:
        """Hangs up."""
        await self._socket.close()
        await self._reading

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> None:
        async for frame in self._socket:
            message: dict[str, Any] = frame.json()
            waiting = self._answers.get(str(message.get("requestId")))
            if message.keys() >= EVENT_FIELDS:
                self.events.append(message)
            elif waiting is not None and not waiting.done():
                waiting.set_result(message)
            else:
                self.told.append(message)


class Tenant:
    """A tenant of a Diminuendo, and the ways in."""

    def __init__(self, process: Process, http: aiohttp.ClientSession, tenant_id: str) -> None:
        self.process = process
        self.tenant_id = tenant_id
        self._http = http

    @asynccontextmanager
    async def stranger(self, **more: Any) -> AsyncIterator[Person]:
        """A connection nobody has authenticated on."""
        socket = await self._http.ws_connect(f"{self.process.url}/ws", max_msg_size=0, **more)
        async with Person(socket) as person:
            yield person

    @asynccontextmanager
    async def person(
        self, user_id: str = "ann", role: str = "member", key: str | None = None, **more: Any
    ) -> AsyncIterator[Person]:
        """Somebody's connection, authenticated."""
        async with self.stranger(**more) as person:
            token = key or self.process.key(user_id, self.tenant_id, role)
            await person.ask("authenticate", token=token)
            yield person


def gapless(events: list[dict[str, Any]], first: int = 1) -> bool:
    """Whether events are numbered from `first` on, each once, in order."""
    return [event["seq"] for event in events] == list(range(first, first + len(events)))


def text_of(events: list[dict[str, Any]], turn_id: str) -> str:
    """What was streamed in a turn."""
    return "".join(event["text"] for event in events if event["type"] == "text_delta" and event["turnId"] == turn_id)
