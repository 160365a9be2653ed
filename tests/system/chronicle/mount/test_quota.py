"""A workspace's quota: refused beyond it, shown by `statvfs`, given back by removing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chronicle.mount.quota import DIRECTORY_BYTES, ENTRY_BYTES
from tests.system.chronicle.mount.serving import Serving
from tests.waiting import until

Serve = Callable[..., Serving]
LIMIT = 1 << 20
BLOCK = 4096
"""What `statvfs` counts in: an entry's cost takes one away."""

pytestmark = pytest.mark.proves("CHR-QUOTA")


def _free(mountpoint: Path) -> int:
    seen = os.statvfs(mountpoint)
    return seen.f_bavail * seen.f_frsize


@pytest.mark.parametrize("passthrough", [True, False])
def test_beyond_the_quota_nothing_grows_until_something_is_removed(serve: Serve, passthrough: bool) -> None:
    mountpoint = serve(quota_bytes=LIMIT, passthrough=passthrough).mountpoint
    seen = os.statvfs(mountpoint)
    assert seen.f_blocks * seen.f_frsize == LIMIT == _free(mountpoint)
    (mountpoint / "half").write_bytes(bytes(LIMIT // 2))
    until(lambda: _free(mountpoint) == LIMIT // 2 - BLOCK)
    (mountpoint / "other").write_bytes(bytes(LIMIT // 2 - 2 * ENTRY_BYTES))
    until(lambda: _free(mountpoint) == 0)
    for attempt in (
        lambda: (mountpoint / "third").touch(),
        lambda: (mountpoint / "directory").mkdir(),
        lambda: (mountpoint / "link").symlink_to("half"),
        lambda: os.mkfifo(mountpoint / "fifo"),
        lambda: os.open(mountpoint / "half", os.O_WRONLY),
        lambda: os.truncate(mountpoint / "half", LIMIT),
    ):
        with pytest.raises(OSError) as full:
            attempt()
        assert full.value.errno == errno.ENOSPC
    (mountpoint / "other").write_bytes(b"less")
    until(lambda: _free(mountpoint) > 0)
    (mountpoint / "half").unlink()
    (mountpoint / "third").write_bytes(bytes(LIMIT // 2))


def test_what_has_no_content_takes_room_too_and_gives_it_back(serve: Serve) -> None:
    mountpoint = serve(quota_bytes=LIMIT).mountpoint
    made = range(LIMIT // DIRECTORY_BYTES)
    for number in made:
        (mountpoint / f"d{number}").mkdir()
    with pytest.raises(OSError) as full:
        (mountpoint / "one too many").mkdir()
    assert full.value.errno == errno.ENOSPC
    (mountpoint / "d0").rmdir()
    for number in range(DIRECTORY_BYTES // ENTRY_BYTES):
        (mountpoint / f"l{number}").symlink_to("anything")
    with pytest.raises(OSError):
        (mountpoint / "one too many").symlink_to("anything")
    assert _free(mountpoint) == 0
    (mountpoint / "l0").rename(mountpoint / "l1")
    (mountpoint / "empty").touch()
    os.link(mountpoint / "empty", mountpoint / "d1" / "again")
    os.unlink(mountpoint / "empty")
    with pytest.raises(OSError):
        (mountpoint / "one too many").touch()
    (mountpoint / "d1" / "again").unlink()
    for number in made[1:]:
        (mountpoint / f"d{number}").rmdir()
    for left in mountpoint.iterdir():
        left.unlink()
    assert _free(mountpoint) == LIMIT


def test_a_file_that_is_named_at_last_is_counted_once(serve: Serve) -> None:
    mountpoint = serve(quota_bytes=LIMIT, passthrough=False).mountpoint
    fd = os.open(mountpoint, os.O_TMPFILE | os.O_WRONLY)
    os.write(fd, bytes(LIMIT // 4))
    os.link(f"/proc/self/fd/{fd}", mountpoint / "named", src_dir_fd=0, follow_symlinks=True)
    os.close(fd)
    until(lambda: _free(mountpoint) == LIMIT * 3 // 4 - BLOCK)
    (mountpoint / "named").unlink()
    until(lambda: _free(mountpoint) == LIMIT)


def test_without_passthrough_no_write_goes_beyond(serve: Serve) -> None:
    mountpoint = serve(quota_bytes=LIMIT, passthrough=False).mountpoint
    with open(mountpoint / "f", "wb", buffering=0) as file:
        for _ in range(15):
            file.write(bytes(LIMIT // 16))
        file.write(bytes(LIMIT // 16 - ENTRY_BYTES))
        with pytest.raises(OSError) as full:
            file.write(b"x")
        assert full.value.errno == errno.ENOSPC
    assert (mountpoint / "f").stat().st_size == LIMIT - ENTRY_BYTES


def test_what_is_open_is_measured_while_it_grows(serve: Serve) -> None:
    mountpoint = serve(quota_bytes=LIMIT, sweep_seconds=0.02).mountpoint
    with open(mountpoint / "f", "wb", buffering=0) as file:
        file.write(bytes(2 * LIMIT))
        until(lambda: _free(mountpoint) == 0)
        with pytest.raises(OSError):
            os.posix_fallocate(file.fileno(), 0, 3 * LIMIT)
        with pytest.raises(OSError):
            (mountpoint / "g").touch()


def test_what_was_there_before_counts(serve: Serve) -> None:
    first = serve()
    (first.layout.tree / "d").mkdir()
    (first.layout.tree / "d/f").write_bytes(bytes(LIMIT // 4))
    os.link(first.layout.tree / "d/f", first.layout.tree / "again")
    first.stop()
    second = Serving(first.layout.root, first.mountpoint, {"quota_bytes": LIMIT})
    try:
        until(lambda: _free(second.mountpoint) == LIMIT * 3 // 4 - 2 * BLOCK, what="a directory, a file of two names")
        (second.mountpoint / "again").unlink()
        assert _free(second.mountpoint) == LIMIT * 3 // 4 - 2 * BLOCK, "it has another name"
        (second.mountpoint / "d/f").unlink()
        assert _free(second.mountpoint) == LIMIT - BLOCK
        (second.mountpoint / "d").rmdir()
        assert _free(second.mountpoint) == LIMIT
    finally:
        assert second.stop() == ""
