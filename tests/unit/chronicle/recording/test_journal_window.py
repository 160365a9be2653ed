"""The journal is written through a mapped window ahead of its end: nobody sees a difference, whatever ends the process or fills the disk."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronicle.recording.journal import WINDOW_BYTES, Journal

HEADER = 16
"""Bytes before the first record, as the format says."""

LARGE = WINDOW_BYTES // 4
"""Records of this size and more are written, not mapped."""


def contents(journal: Journal) -> list[bytes]:
    return [payload for _, payload in journal.records(journal.first)]


def reopened(path: Path) -> list[bytes]:
    journal = Journal(path, 0)
    found = contents(journal)
    journal.close()
    return found


def record(number: int, size: int) -> bytes:
    return b"%08d" % number + bytes([number % 255 + 1]) * (size - 8)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: to the journal that is a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_records_of_all_sizes_in_any_order_are_read_as_they_were_appended(tmp_path: Path) -> None:
    sizes = [
        10,
        LARGE - 9,
        LARGE - 8,
        LARGE - 7,
        LARGE,
        LARGE + 1,
        100,
        3 * LARGE,
        20,
        WINDOW_BYTES,
        30,
        3 * WINDOW_BYTES,
        9,
    ]
    journal = Journal(tmp_path / "journal", 0)
    given = [record(number, size) for number, size in enumerate(sizes * 2)]
    places = [journal.append(payload) for payload in given]
    assert contents(journal) == given
    assert [journal.read(place) for place in places] == given
    journal.close()
    assert reopened(tmp_path / "journal") == given


def test_the_window_moves_on_as_often_as_it_has_to(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    given = [record(number, 1000 + number % 7) for number in range(6 * WINDOW_BYTES // 1000)]
    largest = 0
    for payload in given:
        journal.append(payload)
        largest = max(largest, os.path.getsize(tmp_path / "journal") - HEADER - journal.end)
    assert 0 < largest <= WINDOW_BYTES, "never more than a window ahead"
    assert contents(journal) == given
    journal.close()
    assert reopened(tmp_path / "journal") == given


def test_closing_takes_the_zeroes_behind_the_end_away(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    journal.append(b"one")
    assert os.path.getsize(tmp_path / "journal") > HEADER + journal.end
    journal.close()
    assert os.path.getsize(tmp_path / "journal") == HEADER + journal.end
    journal.close()


def test_without_room_for_a_window_records_are_written_one_by_one_until_there_is_none_for_them(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    given = []

    def fill() -> None:
        for number in range(WINDOW_BYTES):
            given.append(record(number, 1000))
            journal.append(given[-1])

    with files_of_at_most(WINDOW_BYTES // 2):
        with pytest.raises(OSError):
            fill()
        refused = given.pop()
        assert len(given) == (WINDOW_BYTES // 2 - HEADER) // 1008
        assert os.path.getsize(tmp_path / "journal") == HEADER + journal.end, "nothing ahead, nothing half written"
        assert contents(journal) == given
    journal.append(refused)
    assert contents(journal) == [*given, refused]
    journal.close()
    assert reopened(tmp_path / "journal") == [*given, refused]


def test_a_disk_that_fills_while_a_window_is_mapped_costs_no_record(tmp_path: Path) -> None:
    """The first window is allocated, the second can't be: what lies between is written, and no store meets a full disk."""
    journal = Journal(tmp_path / "journal", 0)
    given = []
    with files_of_at_most(WINDOW_BYTES + WINDOW_BYTES // 2):
        for number in range(WINDOW_BYTES * 5 // 4 // 1008):
            given.append(record(number, 1000))
            journal.append(given[-1])
    assert contents(journal) == given
    journal.close()
    assert reopened(tmp_path / "journal") == given


@pytest.mark.proves("CHR-CRASH")
def test_a_killed_process_leaves_zeroes_that_the_next_one_takes_for_the_end(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom chronicle.recording.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 0)\n"
        "for number in range(700): journal.append(b'%08d' % number * 100)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, path], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    given = [b"%08d" % number * 100 for number in range(700)]
    assert os.path.getsize(path) > HEADER + 700 * 808, "killed with a window ahead of the end"
    journal = Journal(path, 0)
    assert contents(journal) == given
    assert os.path.getsize(path) == HEADER + journal.end == HEADER + 700 * 808
    journal.append(b"after")
    journal.close()
    assert reopened(path) == [*given, b"after"]


def test_a_journal_that_is_cut_while_it_is_mapped_goes_on_in_the_new_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    with open(tmp_path / "journal", "rb") as before:
        given = [record(number, 500) for number in range(100)]
        places = [journal.append(payload) for payload in given]
        journal.cut(places[60])
        old = before.read()
        later = [record(number, 500) for number in range(100, 900)]
        places += [journal.append(payload) for payload in later]
        before.seek(0)
        assert before.read() == old, "the old file is written no more"
    assert contents(journal) == [*given[60:], *later]
    assert [journal.read(place) for place in places[60:]] == [*given[60:], *later]
    journal.cut(journal.end)
    assert contents(journal) == []
    assert journal.append(b"again") == places[-1] + 508
    journal.close()
    assert reopened(tmp_path / "journal") == [b"again"]


def test_cutting_without_room_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    given = [record(number, 1000) for number in range(100)]
    places = [journal.append(payload) for payload in given]
    with files_of_at_most(20_000), pytest.raises(OSError):
        journal.cut(places[50])
    given.append(b"after")
    journal.append(b"after")
    assert contents(journal) == given
    journal.close()
    assert reopened(tmp_path / "journal") == given
