"""When a spare worker is made, and when it ends."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronicle.daemon import children
from chronicle.daemon.fronts import Order
from chronicle.daemon.spares import KEPT_SECONDS, Spares
from chronicle.mount.options import MountOptions

ORDER = Order(Path("/w"), Path("/m"), "watch", MountOptions(mountpoint=Path("/m")))


class Loop:
    """A loop whose time is moved by hand; descriptors are looked at by nobody."""

    def __init__(self) -> None:
        self.now = 0.0
        self.works: list[tuple[float, Callable[[], None]]] = []
        self.looked_at: set[int] = set()

    def look_at(self, descriptor: int, work: Callable[[], None]) -> None:
        self.looked_at.add(descriptor)

    def look_away(self, descriptor: int) -> None:
        self.looked_at.remove(descriptor)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self.works.append((self.now + seconds, work))

    def passes(self, seconds: float) -> None:
        """So much time passes."""
        end = self.now + seconds
        while due := [each for each in self.works if each[0] <= end]:
            first = min(due, key=lambda each: each[0])
            self.works.remove(first)
            self.now = first[0]
            first[1]()
        self.now = end


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Pids of the processes that were started as spares: sleepers, for a test can't be forked."""
    made: list[subprocess.Popen[bytes]] = []
    pids: list[int] = []

    def start(_name: str, _work: Callable[[], int], _keep: object) -> tuple[int, int]:
        made.append(subprocess.Popen(["sleep", "3600"]))
        pids.append(made[-1].pid)
        return made[-1].pid, os.pidfd_open(made[-1].pid)

    monkeypatch.setattr(children, "start", start)
    yield pids
    for process in made:
        process.returncode = 0  # reaped by who ended it


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_is_made_when_a_mount_has_begun_and_no_other_is_about_to(
    loop: Loop, started: list[int], tmp_path: Path
) -> None:
    kept = Spares(loop, tmp_path, lambda: loop.now)
    loop.passes(1)
    assert started == []
    assert kept.give(ORDER) is None
    assert kept.give(ORDER) is None
    kept.begun()
    loop.passes(1)
    assert started == []
    kept.begun()
    loop.passes(1)
    assert len(started) == 1
    assert kept.give(ORDER) is None  # it has not said that it is ready
    kept.begun()
    loop.passes(1)
    assert len(started) == 1
    kept.close()
    assert not is_there(started[0])
    assert not loop.looked_at


def test_it_ends_when_nothing_was_mounted_for_long(loop: Loop, started: list[int], tmp_path: Path) -> None:
    kept = Spares(loop, tmp_path, lambda: loop.now)
    kept.give(ORDER)
    kept.begun()
    loop.passes(KEPT_SECONDS / 2)
    kept.give(ORDER)
    kept.begun()
    loop.passes(KEPT_SECONDS - 1)
    assert is_there(started[0])
    loop.passes(2)
    assert not is_there(started[0])
    assert not loop.looked_at
    kept.give(ORDER)
    kept.begun()
    loop.passes(1)
    assert len(started) == 2
    kept.close()


def test_none_is_made_any_more_once_it_is_closed(loop: Loop, started: list[int], tmp_path: Path) -> None:
    kept = Spares(loop, tmp_path, lambda: loop.now)
    kept.give(ORDER)
    kept.begun()
    kept.close()
    loop.passes(1)
    assert kept.give(ORDER) is None
    kept.begun()
    loop.passes(KEPT_SECONDS)
    kept.close()
    assert started == []
