"""Stored bytes that are not what they were are an error, never wrong bytes; fsck says which."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle import DamagedError
from tests.chronicle_mounts import Mounted, mount_maker


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    """A mounted workspace."""
    with mount_maker(tmp_path) as maker:
        yield maker()


def _largest_object(mounted: Mounted) -> Path:
    pool = mounted.root / "pool"
    return max((path for path in pool.glob("??/*")), key=lambda path: path.stat().st_size)


@pytest.mark.noisy("(?i)damage")
@pytest.mark.proves("CHR-VERIFIED")
def test_a_damaged_object_is_eio_through_the_mount_and_a_finding_of_fsck(mounted: Mounted) -> None:
    old = os.urandom(300_000)
    path = mounted.directory / "file"
    path.write_bytes(old)
    then = mounted.workspace.barrier()
    path.write_bytes(b"new")
    mounted.workspace.barrier()
    magic = mounted.directory / ".chronicle" / "at" / str(then) / "file"
    assert magic.read_bytes() == old
    damaged = _largest_object(mounted)
    body = bytearray(damaged.read_bytes())
    body[len(body) // 2] ^= 0x40
    damaged.chmod(0o600)
    damaged.write_bytes(body)
    with pytest.raises(DamagedError):
        mounted.workspace.read(b"file", then)
    with pytest.raises(OSError) as refused:
        _ = (mounted.directory / ".chronicle" / "at" / str(then) / "file").read_bytes()
    assert refused.value.errno == errno.EIO
    assert path.read_bytes() == b"new"
    mounted.unmount()
    assert any(damaged.name in finding.where for finding in mounted.workspace.fsck())
