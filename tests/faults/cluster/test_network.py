"""The links of the fault bench do what they say, to what is connected and to what will be."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.cluster.network import Link, Network

QUIET_SECONDS = 0.3
"""Silence for so long is a cut: everything else arrives within milliseconds."""


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


@asynccontextmanager
async def echo_behind(network: Network) -> AsyncIterator[tuple[Link, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A server that says everything back, a link to it, and a connection over that."""

    serving: set[asyncio.Task[object] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            while piece := await reader.read(1000):
                writer.write(piece)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = network.link(server.sockets[0].getsockname()[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    try:
        yield link, reader, writer
    finally:
        writer.close()
        server.close()
        link.reset()
        await asyncio.wait({task for task in serving if task is not None}, timeout=5)


async def test_what_was_cut_is_silent_and_arrives_when_it_is_healed(network: Network) -> None:
    async with echo_behind(network) as (link, reader, writer):
        for way in ("up", "down"):
            link.cut(way)
            writer.write(b"later")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), QUIET_SECONDS)
            link.heal()
            assert await reader.readexactly(5) == b"later"


async def test_a_new_connection_hears_nothing_while_the_link_is_cut(network: Network) -> None:
    async with echo_behind(network) as (link, _, _):
        link.cut()
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"anybody")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), QUIET_SECONDS)
        link.heal()
        assert await reader.readexactly(7) == b"anybody"
        writer.close()


async def test_a_delay_counts_for_each_direction(network: Network) -> None:
    async with echo_behind(network) as (link, reader, writer):
        link.delay(0.15)
        began = time.monotonic()
        writer.write(b"slow")
        assert await reader.readexactly(4) == b"slow"
        assert time.monotonic() - began >= 0.3


async def test_a_reset_ends_what_is_connected_and_nothing_else(network: Network) -> None:
    async with echo_behind(network) as (link, reader, _):
        assert link.reset() == 2
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        again, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"again")
        assert await again.readexactly(5) == b"again"
        writer.close()


async def test_a_server_that_is_not_there_is_told_by_a_reset(network: Network) -> None:
    async with echo_behind(network) as (link, _, _):
        link.to_port = 1
        with pytest.raises(ConnectionResetError):  # at once, or when it is read from
            await _first_byte(link.port)


async def _first_byte(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(reader.read(1), 5)
    finally:
        writer.close()
