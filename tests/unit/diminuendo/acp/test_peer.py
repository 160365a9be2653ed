"""Two peers, and one that talks nonsense."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diminuendo.acp.rpc import peer as peers
from diminuendo.acp.rpc.messages import RpcError
from diminuendo.acp.rpc.peer import Answered, Peer, PeerGoneError
from podium.base import telemetry
from tests.unit.diminuendo.acp.test_messages import ALMOST, JSON
from tests.waiting import wait_until


class Written:
    """An outlet that keeps what is written."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def write(self, message: bytes) -> None:
        self.messages.append(json.loads(message))

    async def room(self) -> None:
        pass


class Answers:
    """Answers some methods; `wait` waits until it is cancelled."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.cancelled = 0
        self.after: list[str] = []

    async def request(self, method: str, params: Any) -> Any:
        if method == "echo":
            return params
        if method == "then":
            return Answered("done", lambda: self.after.append("then"))
        if method == "refuse":
            raise RpcError(-32002, "not there")
        if method == "wait":
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        raise ValueError("a fault of ours")

    async def notification(self, method: str, params: Any) -> None:
        self.heard.append((method, params))
        if method == "bad":
            raise RpcError(-32602, "nonsense")


def made() -> tuple[Peer, Written, Answers]:
    written, answers = Written(), Answers()
    peer = Peer(written)
    peer.handler = answers
    return peer, written, answers


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


def call(message_id: Any, method: str, params: Any = None) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": message_id, "method": method, "params": params or {}})


@pytest.mark.noisy("acp_request_failed")
async def test_requests_are_answered_each_by_its_id() -> None:
    peer, written, answers = made()
    peer.receive(call("a", "echo", {"x": 1}))
    peer.receive(call(2, "refuse"))
    peer.receive(call(3, "break"))
    peer.receive(call(4, "then"))
    peer.receive('{"jsonrpc": "2.0", "method": "bad"}')
    await settled()
    assert written.messages == [
        {"jsonrpc": "2.0", "id": "a", "result": {"x": 1}},
        {"jsonrpc": "2.0", "id": 2, "error": {"code": -32002, "message": "not there"}},
        {"jsonrpc": "2.0", "id": 3, "error": {"code": -32603, "message": "something is wrong on our side"}},
        {"jsonrpc": "2.0", "id": 4, "result": "done"},
    ]
    assert (answers.after, answers.heard) == (["then"], [("bad", None)])
    await peer.close()


async def test_the_answers_to_a_batch_come_together() -> None:
    peer, written, answers = made()
    peer.receive(f'[{call(1, "wait")}, {call(2, "echo")}, {{"jsonrpc": "2.0", "method": "n"}}, 4]')
    await settled()
    assert written.messages == []
    peer.receive('{"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": 1}}')
    await settled()
    (batch,) = written.messages
    assert [(answer["id"], "error" in answer) for answer in batch] == [(None, True), (2, False), (1, True)]
    peer.receive('[{"jsonrpc": "2.0", "method": "n"}]')
    await settled()
    assert (len(written.messages), len(answers.heard)) == (1, 2)
    await peer.close()


async def test_a_request_is_cancelled_by_either_side() -> None:
    peer, written, answers = made()
    peer.receive(call(1, "wait"))
    await settled()
    peer.receive('{"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": 1}}')
    await settled()
    assert answers.cancelled == 1
    assert written.messages.pop()["error"]["code"] == -32800

    peer.receive(call(2, "wait"))  # cancelled before it has begun
    peer.receive('{"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": 2}}')
    await settled()
    assert answers.cancelled == 1
    assert written.messages.pop()["error"]["code"] == -32800

    asking = asyncio.get_running_loop().create_task(peer.request("ask", {"q": 1}))
    await settled()
    asked = written.messages.pop()
    asking.cancel()
    await settled()
    assert written.messages == [{"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": asked["id"]}}]
    peer.receive(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "too late"}))
    await peer.close()


async def test_answers_find_who_asked_in_any_order() -> None:
    peer, written, _ = made()
    loop = asyncio.get_running_loop()
    first, second = (loop.create_task(peer.request("ask", {"n": n})) for n in (1, 2))
    await settled()
    ids = [message["id"] for message in written.messages]
    peer.receive(json.dumps({"jsonrpc": "2.0", "id": ids[1], "result": "b"}))
    peer.receive(json.dumps({"jsonrpc": "2.0", "id": ids[0], "error": {"code": 5, "message": "no"}}))
    assert await second == "b"
    with pytest.raises(RpcError, match="no"):
        await first
    third = loop.create_task(peer.request("ask", {}))
    await settled()
    await peer.close()
    with pytest.raises(PeerGoneError):
        await third
    with pytest.raises(PeerGoneError):
        await peer.request("ask", {})


async def test_too_much_at_once_is_refused_and_an_id_is_used_once() -> None:
    peer, written, _ = made()
    for n in range(peers.REQUESTS_MAX):
        peer.receive(call(n, "wait"))
    peer.receive(call("more", "echo"))
    assert written.messages.pop()["error"]["message"] == "too many requests at once"
    peer.receive(call(0, "echo"))
    assert written.messages.pop()["error"]["code"] == -32600
    await peer.close()
    assert written.messages == []


@pytest.mark.noisy("acp_request_failed")
@pytest.mark.proves("DIM-ACP-BAD-INPUT")
@settings(max_examples=60, deadline=None)
@given(st.lists(JSON | ALMOST | st.lists(ALMOST, max_size=3), max_size=12))
def test_no_input_ends_a_connection(values: list[Any]) -> None:
    async def talk() -> None:
        peer, written, _ = made()
        for value in values:
            peer.receive(json.dumps(value))
            peer.receive(json.dumps(value)[:-1])
        await settled()
        written.messages.clear()
        peer.receive(call("last", "echo", {"still": "there"}))
        await settled()
        assert written.messages[-1] == {"jsonrpc": "2.0", "id": "last", "result": {"still": "there"}}
        await peer.close()

    asyncio.run(talk())


async def test_a_request_belongs_to_the_trace_the_client_names() -> None:
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    seen: list[str] = []

    class Looks(Answers):
        async def request(self, method: str, params: Any) -> Any:
            seen.append(telemetry.current.get())

    peer, written, _ = made()
    peer.handler = Looks()
    for number, meta in enumerate([{"traceparent": trace}, {"traceparent": 7}, "nonsense", None]):
        peer.receive(json.dumps({"jsonrpc": "2.0", "id": number, "method": "look", "params": {"_meta": meta}}))
    await wait_until(lambda: len(written.messages) == 4)
    assert seen == [trace, "", "", ""]
    await peer.close()
