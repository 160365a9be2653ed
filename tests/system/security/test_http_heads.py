"""What a client without any key can make a daemon hold in memory before its request is a request."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from podium.base.http import PUBLIC, Call, Endpoint, HttpApp, HttpServer
from podium.base.http.identity import ClusterAuthenticator
from podium.base.http.server import HEAD_MAX_BYTES

ENOUGH = 64 * HEAD_MAX_BYTES
SECONDS = 10.0


async def _seen(call: Call) -> dict[str, Any]:
    body = b"".join([part async for part in call.stream()])
    return {"names": sorted(call.headers), "body": body.decode()}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    endpoint = Endpoint(
        method="POST", path="/seen", handler=_seen, summary="What came", access=PUBLIC, answers={200: dict[str, Any]}
    )
    server = HttpServer(HttpApp([endpoint], ClusterAuthenticator("a key")))
    yield await server.start()
    await server.stop(1.0)


async def _sent_until_refused(port: int, beginning: bytes) -> int:
    """Sends `beginning` and then endless letters; how many bytes were taken before the server ended the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(beginning)
            while sent < ENOUGH and not reader.at_eof():
                writer.write(b"a" * 16384)
                await writer.drain()
                sent += 16384
                await asyncio.sleep(0)
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return sent


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /seen HTTP/1.1\r\nx: ",
        b"GET /seen HTTP/1.1\r\n",
        b"GET /",
        b"POST /seen HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
    ],
    ids=["one value", "one name", "the path", "a trailer"],
)
async def test_a_head_without_end_is_cut_off(port: int, beginning: bytes) -> None:
    assert await _sent_until_refused(port, beginning) < ENOUGH


async def test_trailers_of_a_body_are_no_headers(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /seen HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    writer.write(head + b"2\r\nhi\r\n0\r\npodium-tenant: other\r\n\r\n")
    async with asyncio.timeout(SECONDS):
        answer = await reader.read()
    writer.close()
    assert b" 200 " in answer
    assert b'"hi"' in answer
    assert b"podium-tenant" not in answer


async def test_a_body_larger_than_any_head_still_passes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = 8 * HEAD_MAX_BYTES
    writer.write(b"POST /seen HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size)
    writer.write(b"b" * size)
    async with asyncio.timeout(SECONDS):
        answer = await reader.read()
    writer.close()
    assert answer.count(b"b") >= size
