"""The reserve of a disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.mount.reserve import LOOK_SECONDS, Reserve, parse_share, share_in


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    """Somewhere on a disk that is neither full nor empty."""
    handle = os.open(tmp_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def test_a_reserve_is_reached_when_less_is_free(directory: int) -> None:
    disk = os.fstatvfs(directory)
    free = disk.f_bavail / disk.f_blocks
    assert not Reserve(directory, 0.0).is_reached()
    assert not Reserve(directory, free / 2).is_reached()
    assert Reserve(directory, (1 + free) / 2).is_reached()


def test_the_disk_is_looked_at_once_in_a_while(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    disk = os.fstatvfs(directory)

    def look(fd: int) -> os.statvfs_result:
        looks.append(fd)
        return disk

    monkeypatch.setattr(os, "fstatvfs", look)
    now = [0.0]
    reserve = Reserve(directory, 0.01, lambda: now[0])
    for _ in range(3):
        reserve.is_reached()
    now[0] = LOOK_SECONDS
    reserve.is_reached()
    assert len(looks) == 2


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), ("0%", 0.0), ("2.5%", 0.025)])
def test_a_share_is_a_percentage(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)
    assert share_in({"CHRONICLE_DISK_RESERVE": text}) == pytest.approx(share)


@pytest.mark.parametrize("text", ["2", "50%", "-1%", "x%", "%", "nan%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a percentage below 50"):
        parse_share(text)


def test_nothing_is_reserved_unless_said() -> None:
    assert share_in({}) == 0.0
