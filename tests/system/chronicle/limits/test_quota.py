"""A workspace grows no larger than its quota, and says how much is left."""

import errno
import os
from pathlib import Path

import pytest

from tests.chronicle_mounts import mount_maker
from tests.waiting import until

MIB = 1 << 20


def _fill(directory: Path) -> None:
    for number in range(20):
        (directory / f"file{number}").write_bytes(os.urandom(MIB))


@pytest.mark.proves("CHR-QUOTA")
def test_a_full_workspace_refuses_new_content_and_takes_it_again_after_a_removal(tmp_path: Path) -> None:
    with mount_maker(tmp_path) as maker:
        mounted = maker(quota_bytes=8 * MIB)
        directory = mounted.directory
        facts = os.statvfs(directory)
        assert facts.f_blocks * facts.f_frsize == 8 * MIB
        with pytest.raises(OSError) as refused:
            _fill(directory)
        assert refused.value.errno in {errno.ENOSPC, errno.EDQUOT}
        used = sum(path.stat().st_size for path in directory.iterdir())
        assert 6 * MIB <= used <= 10 * MIB
        assert os.statvfs(directory).f_bavail * facts.f_frsize <= 2 * MIB
        for path in directory.iterdir():
            path.unlink()
        (directory / "again").write_bytes(os.urandom(MIB))
        mounted.workspace.barrier()
        assert len(mounted.workspace.read(b"again")) == MIB


@pytest.mark.proves("CHR-QUOTA")
def test_a_file_without_a_name_counts_until_it_is_closed(tmp_path: Path) -> None:
    with mount_maker(tmp_path) as maker:
        directory = maker(quota_bytes=8 * MIB).directory
        with (directory / "hidden").open("wb") as hidden:
            hidden.write(os.urandom(8 * MIB))
            hidden.flush()
            (directory / "hidden").unlink()
            until(lambda: os.statvfs(directory).f_bavail == 0, what="the nameless file is counted")
            with pytest.raises(OSError, match="No space left"):
                (directory / "more").write_bytes(b"more")
        until(lambda: os.statvfs(directory).f_bavail > 0, what="it is counted no more")
        (directory / "more").write_bytes(b"more")


@pytest.mark.proves("CHR-QUOTA")
def test_old_versions_held_open_are_bounded(tmp_path: Path) -> None:
    with mount_maker(tmp_path) as maker:
        mounted = maker()
        (mounted.directory / "file").write_bytes(os.urandom(12 * MIB))
        then = mounted.workspace.barrier()
        past = mounted.directory / ".chronicle" / "at" / str(then) / "file"
        opened: list[int] = []
        try:
            with pytest.raises(OSError) as refused:
                _open_often(past, opened)
            assert refused.value.errno == errno.ENOMEM
            assert 1 <= len(opened) <= 6
        finally:
            for descriptor in opened:
                os.close(descriptor)
        assert len(past.read_bytes()) == 12 * MIB


def _open_often(path: Path, opened: list[int]) -> None:
    for _ in range(20):
        opened.append(os.open(path, os.O_RDONLY))
