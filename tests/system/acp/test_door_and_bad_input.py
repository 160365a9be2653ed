"""Who comes in, and what happens to those who send nonsense. Raw messages, no library."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.system.acp.editors import CWD, SECONDS, Office

INITIALIZE = {"protocolVersion": 1, "clientCapabilities": {}}


class Wire:
    """A WebSocket to `/acp` that sends what it is told to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.made = 0

    async def answer(self) -> Any:
        """The next message that is an answer."""
        while True:
            message = await self.socket.receive(SECONDS)
            assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
            read = json.loads(message.data)
            if isinstance(read, list) or "method" not in read:
                return read

    async def ask(self, method: str, **params: Any) -> Any:
        """A request; its result, or its error."""
        self.made += 1
        await self.socket.send_json({"jsonrpc": "2.0", "id": self.made, "method": method, "params": params})
        answer = await self.answer()
        assert answer["id"] == self.made
        return answer.get("result", answer.get("error"))

    async def closed(self) -> int | None:
        """Reads to the end; the close code."""
        while not self.socket.closed:
            await self.socket.receive(SECONDS)
        return self.socket.close_code


@asynccontextmanager
async def dialled(office: Office, token: str | None = None, path: str = "/acp?agent=editor") -> AsyncIterator[Wire]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(office.address(path), headers=headers, max_msg_size=0) as socket,
    ):
        yield Wire(socket)


@pytest.mark.proves("DIM-ACP-BAD-INPUT")
async def test_nonsense_is_answered_and_the_connection_goes_on(office: Office) -> None:
    async with dialled(office, office.diminuendo.key("ada", "acme")) as wire:
        assert wire.socket._response.headers["Acp-Connection-Id"].startswith("client-")
        early = await wire.ask("session/new", cwd=CWD, mcpServers=[])
        assert (early["code"], early["message"]) == (-32600, "initialize comes first")
        await wire.ask("initialize", **INITIALIZE)
        for text, code in {
            "nonsense": -32700,
            "[]": -32600,
            "3": -32600,
            '{"jsonrpc": "2.0"}': -32600,
            '{"id": 1, "method": "initialize"}': -32600,
            '{"jsonrpc": "2.0", "id": {}, "method": "initialize"}': -32600,
            "[" * 100_000: -32700,
        }.items():
            await wire.socket.send_str(text)
            answer = await wire.answer()
            assert (answer["error"]["code"], "result" in answer) == (code, False), text
        await wire.socket.send_bytes(b"{}")
        assert (await wire.answer())["error"]["code"] == -32600
        await wire.socket.send_str(" " * (4 * 1024 * 1024 + 1))
        assert (await wire.answer())["error"]["message"].startswith("the message has more than")
        await wire.socket.send_str(
            '[{"jsonrpc": "2.0", "method": "x"}, {"jsonrpc": "2.0", "id": "b", "method": "x"}, 1]'
        )
        assert {answer["id"]: answer["error"]["code"] for answer in await wire.answer()} == {"b": -32601, None: -32600}

        assert (await wire.ask("session/fly"))["data"] == {"method": "session/fly"}
        assert (await wire.ask("session/new", cwd="here", mcpServers=[]))["message"] == "cwd must be an absolute path"
        assert (await wire.ask("session/new"))["code"] == -32602
        assert (await wire.ask("session/load", sessionId="sess-x", cwd=CWD, mcpServers=[]))["code"] == -32002
        assert (await wire.ask("session/list", cursor="?"))["code"] == -32602
        prompt = [{"type": "hologram"}]
        assert "hologram" in (await wire.ask("session/prompt", sessionId="sess-x", prompt=prompt))["message"]
        await wire.socket.send_json({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": 3}})
        await wire.socket.send_json({"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": [1]}})

        session_id = (await wire.ask("session/new", cwd=CWD, mcpServers=[]))["sessionId"]
        sound = [{"type": "audio", "data": "", "mimeType": "audio/wav"}]
        assert (await wire.ask("session/prompt", sessionId=session_id, prompt=sound))["message"] == "audio is not taken"
        large = [{"type": "text", "text": "x" * (1024 * 1024 + 1)}]
        assert (await wire.ask("session/prompt", sessionId=session_id, prompt=large))["code"] == -32602
        hello = [{"type": "text", "text": "hello"}]
        assert await wire.ask("session/prompt", sessionId=session_id, prompt=hello) == {"stopReason": "end_turn"}


@pytest.mark.proves("DIM-ACP-CANCEL")
async def test_a_prompt_that_is_cancelled_in_the_same_breath_is_cancelled(office: Office) -> None:
    async with dialled(office, office.diminuendo.key("ada", "acme")) as wire:
        await wire.ask("initialize", **INITIALIZE)
        session_id = (await wire.ask("session/new", cwd=CWD, mcpServers=[]))["sessionId"]
        prompt = {"sessionId": session_id, "prompt": [{"type": "text", "text": "wait"}]}
        batch = [
            {"jsonrpc": "2.0", "id": "p", "method": "session/prompt", "params": prompt},
            {"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": session_id}},
        ]
        await wire.socket.send_json(batch)
        assert await wire.answer() == [{"jsonrpc": "2.0", "id": "p", "result": {"stopReason": "cancelled"}}]


@pytest.mark.proves("DIM-ACP-DOOR")
async def test_nobody_comes_in_without_a_token(office: Office) -> None:
    async with dialled(office) as wire:
        about = await wire.ask("initialize", **INITIALIZE)
        assert [method["id"] for method in about["authMethods"]] == ["token"]
        assert (await wire.ask("session/list"))["code"] == -32000
        assert (await wire.ask("authenticate", methodId="magic"))["code"] == -32602
        assert (await wire.ask("authenticate", methodId="token"))["code"] == -32602
        wrong = {"token": "pod_" + "x" * 40}
        refused = await wire.ask("authenticate", methodId="token", _meta=wrong)
        assert (refused["code"], refused["message"]) == (-32000, "the API key is not valid")
        key = office.diminuendo.key("eve", "elsewhere")
        assert await wire.ask("authenticate", methodId="token", _meta={"token": key}) == {}
        assert "sessions" in await wire.ask("session/list")
        other = office.diminuendo.key("bob", "elsewhere")
        somebody_else = await wire.ask("authenticate", methodId="token", _meta={"token": other})
        assert somebody_else["message"] == "the new token is somebody else's"
    async with dialled(office, "pod_" + "x" * 40) as wire:
        assert await wire.closed() == 4401
    async with dialled(office) as wire:
        await wire.ask("initialize", **INITIALIZE)
        for _ in range(3):
            await wire.ask("authenticate", methodId="token", _meta=wrong)
        assert await wire.closed() == 4401


@pytest.mark.proves("DIM-ACP-DOOR")
async def test_sessions_are_their_tenants_and_only_for_those_who_may_work(office: Office) -> None:
    async with dialled(office, office.diminuendo.key("ada", "one")) as wire:
        await wire.ask("initialize", **INITIALIZE)
        session_id = (await wire.ask("session/new", cwd=CWD, mcpServers=[]))["sessionId"]
    async with dialled(office, office.diminuendo.key("eve", "two")) as wire:
        await wire.ask("initialize", **INITIALIZE)
        assert (await wire.ask("session/list"))["sessions"] == []
        for method in ("load", "resume", "delete"):
            gone = await wire.ask(f"session/{method}", sessionId=session_id, cwd=CWD, mcpServers=[])
            assert gone["code"] == -32002, method
    async with dialled(office, office.diminuendo.key("sam", "one", "viewer")) as wire:
        await wire.ask("initialize", **INITIALIZE)
        assert [found["sessionId"] for found in (await wire.ask("session/list"))["sessions"]] == [session_id]
        refused = await wire.ask("session/load", sessionId=session_id, cwd=CWD, mcpServers=[])
        assert (refused["code"], refused["data"]) == (-32600, {"code": "FORBIDDEN"})
        assert (await wire.ask("session/new", cwd=CWD, mcpServers=[]))["data"] == {"code": "FORBIDDEN"}
    async with dialled(office, office.diminuendo.key("ada", "one"), "/acp") as wire:
        await wire.ask("initialize", **INITIALIZE)
        assert "/acp?agent=TYPE" in (await wire.ask("session/new", cwd=CWD, mcpServers=[]))["message"]
        assert len((await wire.ask("session/list"))["sessions"]) == 1
    async with dialled(office, office.diminuendo.key("ada", "one"), "/acp?agent=nobody") as wire:
        await wire.ask("initialize", **INITIALIZE)
        unknown = await wire.ask("session/new", cwd=CWD, mcpServers=[])
        assert (unknown["code"], unknown["data"]["code"]) == (-32002, "deployment_not_found")
        assert (await wire.ask("session/list"))["sessions"] == []


@pytest.mark.proves("DIM-ACP-BAD-INPUT")
async def test_stdout_holds_nothing_but_answers(office: Office, tmp_path: Path) -> None:
    lines = [
        b"nonsense",
        b"x" * (5 * 1024 * 1024),
        b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 7}}',
        b'{"jsonrpc": "2.0", "id": 2, "method": "session/list"}',
    ]
    process = await asyncio.create_subprocess_exec(
        *office.command(), env=office.environment, stdin=-1, stdout=-1, stderr=-1, cwd=tmp_path
    )
    out, err = await asyncio.wait_for(process.communicate(b"\n".join(lines)), SECONDS)
    answers = [json.loads(line) for line in out.splitlines()]
    assert sorted(str(answer["id"]) for answer in answers) == ["1", "2", "None", "None"]
    assert next(answer for answer in answers if answer["id"] == 1)["result"]["protocolVersion"] == 1
    assert (process.returncode, err) == (0, b"")


async def test_files_will_do_for_stdin_and_stdout(office: Office, tmp_path: Path) -> None:
    (tmp_path / "in").write_text('{"jsonrpc": "2.0", "id": 1, "method": "session/fly"}')
    for given in (tmp_path / "in", Path("/dev/null")):
        with given.open() as stdin, (tmp_path / "out").open("ab") as stdout:
            process = await asyncio.create_subprocess_exec(
                *office.command(), env=office.environment, stdin=stdin, stdout=stdout, cwd=tmp_path
            )
            assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    assert json.loads((tmp_path / "out").read_text())["error"]["code"] == -32601
