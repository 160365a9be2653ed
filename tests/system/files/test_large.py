"""A file of a gigabyte goes in and out, and neither daemon grows by it."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from podium.client import PodiumClient
from podium.client.settings import ClientSettings
from tests.agents import source
from tests.system.api import Caller
from tests.system.daemons import Daemons

SIZE = 2**30
PIECE = 2**20
ALLOWED = 96 * 2**20
"""Pieces in flight at every station, and what the allocator keeps of them."""


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _pieces() -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() * (PIECE // 32) for number in range(8)]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.proves("CHR-AGENT-FILES")
async def test_a_gigabyte_goes_in_and_out_in_pieces(
    caller: Caller, daemons: Daemons, agent_type: str, tmp_path: Path
) -> None:
    deployment = await caller.deploy(tmp_path / "w", agent_type, source("shell"), extra='[limits]\ndisk = "4GiB"\n')
    made = await caller.create(deployment)
    pieces, sent = _pieces(), hashlib.sha256()

    async def content() -> AsyncIterator[bytes]:
        for number in range(SIZE // PIECE):
            sent.update(pieces[number % 8])
            yield pieces[number % 8]

    before = {name: _peak(daemons.pid(name)) for name in ("gateway", "coordinator")}
    assert caller.key is not None
    async with PodiumClient(ClientSettings(daemons.url, caller.key)) as podium:
        written = await podium.files.write(made["instance_id"], "big.bin", content())
        assert written.size == SIZE
        received, size = hashlib.sha256(), 0
        async with podium.files.stream(made["instance_id"], "big.bin") as chunks:
            async for chunk in chunks:
                received.update(chunk)
                size += len(chunk)

    assert (size, received.hexdigest()) == (SIZE, sent.hexdigest())
    for name in ("gateway", "coordinator"):
        assert _peak(daemons.pid(name)) - before[name] < ALLOWED, name
    url = f"{daemons.url}/api/v1/instances/{made['instance_id']}/files/big.bin"
    headers = {**caller.headers, "Range": f"bytes={SIZE - 10}-"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert (answer.status, await answer.read()) == (206, pieces[7][-10:])
