"""Answers in pieces end when the source ends, the client goes, or the server closes; the source is always closed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from podium.base.http import EVENT_STREAM, PUBLIC, Call, ClusterAuthenticator, Endpoint, HttpApp, SseEvent, event_stream
from podium.base.http.call import Streamed
from podium.base.http.sse import HEARTBEAT, encode_sse
from podium.base.tasks import TaskOwner
from tests.waiting import wait_until


class Source:
    """Two events, then silence for ever, or an end."""

    def __init__(self, *, ends: bool = False, fails: bool = False) -> None:
        self.ends, self.fails, self.closed = ends, fails, False

    async def events(self) -> AsyncIterator[SseEvent]:
        """The events."""
        try:
            yield SseEvent(b'{"a":1}', id="1")
            yield SseEvent(b'{"a":2}', id="2")
            if self.fails:
                raise ConnectionError("gone")
            if not self.ends:
                await asyncio.Event().wait()
        finally:
            self.closed = True


class Client:
    """Receives, until it goes."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.body = b""
        self.finished = False
        self.headers: dict[bytes, bytes] = {}

    async def receive(self) -> dict[str, Any]:
        """What ASGI asks for."""
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """What ASGI says."""
        self.headers.update(message.get("headers", []))
        self.body += message.get("body", b"")
        self.finished |= message["type"] == "http.response.body" and not message.get("more_body", False)


def _app(source: Source, heartbeat_seconds: float = 60.0) -> HttpApp:
    async def stream(_call: Call) -> Streamed:
        return event_stream(source.events(), heartbeat_seconds=heartbeat_seconds)

    endpoint = Endpoint(method="GET", path="/", handler=stream, summary="", access=PUBLIC, answers={200: EVENT_STREAM})
    return HttpApp([endpoint], ClusterAuthenticator("key"))


async def _run(app: HttpApp, client: Client) -> None:
    scope = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": []}
    await app(scope, client.receive, client.send)


async def test_a_source_that_ends_finishes_the_answer() -> None:
    source, client = Source(ends=True), Client()
    await _run(_app(source), client)
    assert client.body == b'id: 1\ndata: {"a":1}\n\nid: 2\ndata: {"a":2}\n\n'
    assert (client.finished, source.closed) == (True, True)
    assert client.headers[b"content-type"] == b"text/event-stream"
    assert client.headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize("why", ["client goes", "server closes"])
async def test_whoever_ends_it_the_source_is_closed(why: str) -> None:
    source, client = Source(), Client()
    app, owner = _app(source), TaskOwner("test")
    running = owner.start(_run(app, client), "run")
    await wait_until(lambda: b'"a":2' in client.body)
    if why == "client goes":
        client.gone.set()
    else:
        await app.close()
    await running
    assert source.closed
    assert client.finished is (why == "server closes")
    await owner.close()


@pytest.mark.noisy("task_failed")
async def test_a_source_that_fails_leaves_the_answer_unfinished() -> None:
    source, client = Source(fails=True), Client()
    await _run(_app(source), client)
    assert (client.finished, source.closed) == (False, True)


async def test_silence_is_broken_by_comments() -> None:
    source, client = Source(), Client()
    owner = TaskOwner("test")
    running = owner.start(_run(_app(source, 0.01), client), "run")
    await wait_until(lambda: client.body.count(HEARTBEAT) >= 2)
    client.gone.set()
    await running
    await owner.close()


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (SseEvent(b"x"), b"data: x\n\n"),
        (SseEvent(b"x", "7", "tick"), b"id: 7\nevent: tick\ndata: x\n\n"),
        (SseEvent(b"a\nb\r\nc"), b"data: a\ndata: b\ndata: c\n\n"),
    ],
)
def test_events_are_written_as_the_format_wants(event: SseEvent, written: bytes) -> None:
    assert encode_sse(event) == written
