"""A process that writes a history is killed anywhere: what it had recorded is there, whole, and the next one goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chronicle.store.history import History
from chronicle.store.history.check import check
from tests.faults.chronicle.history.work import ITERATIONS, record, work
from tests.unit.chronicle.history.trees import looked

BATCHES = 16
PATIENCE_S = 60


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.faults.chronicle.history.work", *map(str, arguments)]


def says_the_same(history: History, reference: Path) -> None:
    """Every moment of the history is that of an undisturbed one."""
    with History.create(reference) as undisturbed:
        for number in range(BATCHES):
            record(undisturbed, number)
        assert history.log(limit=10_000) == undisturbed.log(limit=10_000, before=history.head + 1)
        for at in range(history.head + 1):
            assert looked(history, at) == looked(undisturbed, at)
        assert history.history(b"latest", limit=1000) == [
            item for item in undisturbed.history(b"latest", limit=1000) if item.iteration <= history.head
        ]


@pytest.mark.proves("CHR-NO-GAPS", "CHR-HISTORY-EXACT")
@pytest.mark.parametrize("since", [0, 5, 8])
@pytest.mark.parametrize(
    "point",
    [
        "history.before_commit",
        "history.committed",
        "seal.made",
        "seal.renamed",
        "fork.made",
        "fold.stepped",
        "fold.written",
        "fold.renamed",
    ],
)
def test_whoever_is_killed_at_a_named_point_loses_nothing(tmp_path: Path, point: str, since: int) -> None:
    directory = tmp_path / "history"
    ended = subprocess.run(
        command(directory, BATCHES, point, since), capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    said = [int(line) for line in ended.stdout.split()]
    recorded = said[-1] if said else 0
    with History.open(directory) as history:
        assert history.head in (recorded, recorded + ITERATIONS)
        assert history.position() * ITERATIONS == history.head
        assert {finding.severity for finding in check(history)} <= {"leftover"}
    work(directory, BATCHES)
    with History.open(directory, writable=True) as history:
        assert history.head == BATCHES * ITERATIONS
        assert list(check(history)) == []
        says_the_same(history, tmp_path / "reference")
    with History.open(tmp_path / "fork", writable=True) as fork:
        assert list(check(fork)) == []
        assert fork.head == BATCHES * ITERATIONS - 2


@pytest.mark.parametrize("lines", [1, 6, 11])
def test_whoever_is_killed_at_any_time_loses_nothing(tmp_path: Path, lines: int) -> None:
    directory = tmp_path / "history"
    with subprocess.Popen(command(directory, BATCHES * 100), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        said += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
    with History.open(directory, writable=True) as history:
        assert history.head in (said[-1], said[-1] + ITERATIONS)
        assert list(check(history)) == []
    work(directory, history_batches := max(BATCHES, said[-1] // ITERATIONS + 5))
    with History.open(directory) as history:
        assert history.head == history_batches * ITERATIONS
        assert list(check(history)) == []
