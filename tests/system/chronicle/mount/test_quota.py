"""A workspace's quota: refused beyond it, shown by `statvfs`, given back by removing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.chronicle.mount.serving import Serving
from tests.waiting import until

Serve = Callable[..., Serving]
LIMIT = 1 << 20

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
    until(lambda: _free(mountpoint) == LIMIT // 2)
    (mountpoint / "other").write_bytes(bytes(LIMIT // 2))
    until(lambda: _free(mountpoint) == 0)
    for attempt in (
        lambda: (mountpoint / "third").touch(),
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


def test_without_passthrough_no_write_goes_beyond(serve: Serve) -> None:
    mountpoint = serve(quota_bytes=LIMIT, passthrough=False).mountpoint
    with open(mountpoint / "f", "wb", buffering=0) as file:
        for _ in range(16):
            file.write(bytes(LIMIT // 16))
        with pytest.raises(OSError) as full:
            file.write(b"x")
        assert full.value.errno == errno.ENOSPC
    assert (mountpoint / "f").stat().st_size == LIMIT


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
        until(lambda: _free(second.mountpoint) == LIMIT * 3 // 4)
        (second.mountpoint / "again").unlink()
        assert _free(second.mountpoint) == LIMIT * 3 // 4, "it has another name"
        (second.mountpoint / "d/f").unlink()
        assert _free(second.mountpoint) == LIMIT
    finally:
        assert second.stop() == ""
