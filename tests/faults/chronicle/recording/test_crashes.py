"""A recorder that is killed at any moment, and started again, has lost nothing that it had taken note of."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chronicle.layout import Layout
from chronicle.model.paths import is_within
from chronicle.recording import reconcile
from chronicle.store.history.check import check as check_history
from chronicle.store.pool.check import check as check_pool
from tests.unit.chronicle.recording.place import Place, layout_at, open_place

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[4]


def begin(layout: Layout, seed: int, log: Path, steps: int, fault: str | None = None) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    if fault is not None:
        environment["CHRONICLE_FAULT"] = fault
    return subprocess.Popen([sys.executable, CHILD, layout.root, str(seed), log, str(steps)], env=environment)


def assert_whole(place: Place, log: Path) -> None:
    """Every noted version is in the history, in order, none twice; history is what the tree holds; no check finds anything."""
    noted: list[str] = []
    excused: list[bytes] = []
    heads: list[int] = []
    doing: list[bytes] = []
    for line in log.read_bytes().splitlines():
        match line.split(b" "):
            case [b"noted", digest]:
                noted.append(digest.decode())
            case [b"doing", *paths]:
                doing = paths
            case [b"begun"]:
                excused += doing
            case [b"recorded", head]:
                heads.append(int(head))
    excused += doing
    known = set(noted)
    found = [
        each for each in place.history.log(limit=1_000_000) if each.kind in ("create", "modify") and each.hash in known
    ]
    firsts = list(dict.fromkeys(each.hash for each in found))
    assert firsts == noted
    seen: set[str | None] = set()
    for each in found:
        # What was done when the crash came is found by comparing: a rename that nobody noted is a new file.
        assert each.hash not in seen or any(is_within(each.path, path) for path in excused), each
        seen.add(each.hash)
    assert all(place.history.head >= head for head in heads)
    assert contents(place) == really(place)
    assert list(check_history(place.history)) == []
    assert [finding for finding in check_pool(place.pool) if finding.severity != "leftover"] == []
    assert os.listdir(place.layout.pending) == []


def contents(place: Place) -> dict[bytes, bytes | None]:
    return {
        entry.path: place.pool.read(entry.version.digest) if entry.version.digest else None
        for entry in place.history.walk()
    }


def really(place: Place) -> dict[bytes, bytes | None]:
    tree = place.layout.tree
    return {
        os.fsencode(path.relative_to(tree)): path.read_bytes() if path.is_file() else None for path in tree.rglob("*")
    }


def recover_and_check(layout: Layout, log: Path) -> None:
    with open_place(layout, layout.read_settings()) as place:
        reconcile(layout, place.history, place.recorder)
        head = place.recorder.barrier(60)
        assert_whole(place, log)
        assert reconcile(layout, place.history, place.recorder) == 0
        assert place.recorder.barrier(60) == head


POINTS = [
    "journal.appended",
    "content.stored",
    "history.before_commit",
    "history.committed",
    "journal.before_truncate",
    "settle.copied",
    "keep.linked",
]


STEPS = {"journal.before_truncate": 1000, "keep.linked": 3000}
"""What it takes to get there, where 150 steps may not: a journal of a megabyte, a large file that goes before it was read."""


@pytest.mark.proves("CHR-CRASH")
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_a_named_point_loses_nothing(point: str, tmp_path: Path) -> None:
    layout, _ = layout_at(tmp_path / "w")
    log = tmp_path / "log"
    for seed, fault in ((1, None), (2, point), (3, point)):
        child = begin(layout, seed, log, 150 if fault is None else STEPS.get(point, 150), fault)
        assert child.wait(100) == (0 if fault is None else -signal.SIGKILL)
    recover_and_check(layout, log)


@pytest.mark.proves("CHR-CRASH", "CHR-EVERY-VERSION", "CHR-NO-GAPS")
@pytest.mark.parametrize("seed", range(4))
def test_a_crash_at_any_moment_loses_nothing(seed: int, tmp_path: Path) -> None:
    layout, _ = layout_at(tmp_path / "w")
    log = tmp_path / "log"
    log.touch()
    chance = random.Random(seed)
    patience = threading.Event()
    for life in range(3):
        before = log.stat().st_size
        child = begin(layout, 10 * seed + life, log, 100_000)
        while log.stat().st_size == before and child.poll() is None:
            patience.wait(0.01)
        patience.wait(chance.random() * 0.7)
        child.kill()
        assert child.wait(10) == -signal.SIGKILL
    recover_and_check(layout, log)
