"""A bundle of a gigabyte passes through the gateway, and leaves its memory as it was."""

import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.system.api import Caller

PAYLOAD_BYTES = 1023 * 2**20
ALLOWED_BYTES = 64 * 2**20
CHUNK_BYTES = 2**20


def _peak(pid: int) -> int:
    """Most memory a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _bundle(agent_type: str) -> Iterator[bytes]:
    """A bundle whose largest member is not compressed, made as it is sent."""
    head = io.BytesIO()
    manifest = (
        f'[agent]\ntype = "{agent_type}"\nversion = "1.0.0"\nruntime = "python"\nentry = "agent:Agent"\n'.encode()
    )
    with tarfile.open(fileobj=head, mode="w") as archive:
        info = tarfile.TarInfo("podium.toml")
        info.size = len(manifest)
        archive.addfile(info, io.BytesIO(manifest))
    big = tarfile.TarInfo("weights.bin")
    big.size = PAYLOAD_BYTES
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=0) as out:
        out.write(head.getvalue()[:1024] + big.tobuf())
        for _ in range(PAYLOAD_BYTES // CHUNK_BYTES):
            out.write(bytes(CHUNK_BYTES))
            yield packed.getvalue()
            packed.seek(0)
            packed.truncate()
        out.write(bytes(1024))
    yield packed.getvalue()


@pytest.mark.slow
@pytest.mark.proves("BUNDLE-STREAMED")
async def test_a_gigabyte_costs_the_gateway_less_than_64_mebibytes(caller: Caller, agent_type: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in _bundle(agent_type):
            yield chunk

    before = _peak(caller.daemons.pid("gateway"))
    form = aiohttp.FormData({"agent_type": agent_type, "version": "1.0.0"})
    form.add_field("file", chunks(), filename="b.tar.gz", content_type="application/gzip")
    answer = await caller("POST", "/api/v1/deployments", data=form)
    assert answer.status == 201, answer.text
    assert answer.body["size"] > PAYLOAD_BYTES
    assert _peak(caller.daemons.pid("gateway")) - before < ALLOWED_BYTES
