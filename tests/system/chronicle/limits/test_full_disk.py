"""A disk that fills up is an error to who writes, and costs nothing that was recorded."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chronicle_mounts import Mounted, mount_maker

MIB = 1 << 20

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk (a tmpfs of 48 MiB)")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=0755", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def mounted(small_disk: Path) -> Iterator[Mounted]:
    """A workspace whose tree, history and contents lie on the small disk."""
    with mount_maker(small_disk) as maker:
        yield maker()


def _fill(directory: Path) -> None:
    for number in range(100):
        (directory / f"filler{number}").write_bytes(os.urandom(MIB))


@pytest.mark.noisy("(?i)no space|full|can't record|storage")
@pytest.mark.proves("CHR-FULL-DISK")
def test_a_full_disk_is_enospc_and_work_goes_on_when_there_is_room(mounted: Mounted) -> None:
    directory = mounted.directory
    kept = [os.urandom(50_000) for _ in range(20)]
    for number, content in enumerate(kept):
        (directory / f"kept{number}").write_bytes(content)
    mounted.workspace.barrier()
    with pytest.raises(OSError, match="No space left") as refused:
        _fill(directory)
    assert refused.value.errno == errno.ENOSPC
    for number, content in enumerate(kept):
        assert (directory / f"kept{number}").read_bytes() == content
        assert mounted.workspace.read(f"kept{number}".encode()) == content
    for path in directory.glob("filler*"):
        path.unlink()
    (directory / "after").write_bytes(b"there is room again")
    head = mounted.workspace.barrier()
    assert mounted.workspace.read(b"after", head) == b"there is room again"
    assert {entry.name for entry in mounted.workspace.entries(b"")} == {
        os.fsencode(p.name) for p in directory.iterdir()
    }
    mounted.unmount()
    assert list(mounted.workspace.fsck()) == []
