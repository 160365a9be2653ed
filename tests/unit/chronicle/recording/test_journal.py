"""The journal keeps what was appended, in order, and nothing that was not written whole."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronicle.recording.journal import Journal


def contents(journal: Journal, start: int = 0) -> list[bytes]:
    return [payload for _, payload in journal.records(max(start, journal.first))]


def test_what_was_appended_is_there_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    places = [journal.append(b"one"), journal.append(b"two")]
    journal.close()
    again = Journal(tmp_path / "journal", 0)
    assert [again.read(place) for place in places] == [b"one", b"two"]
    assert contents(again) == [b"one", b"two"]
    again.close()


def test_a_torn_end_is_ignored_and_written_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    journal.append(b"one")
    whole = journal.end
    journal.append(b"two, which is longer")
    journal.close()
    size = os.path.getsize(tmp_path / "journal")
    for cut in range(1, size - 16 - whole):
        os.truncate(tmp_path / "journal", size - cut)
        journal = Journal(tmp_path / "journal", 0)
        assert contents(journal) == [b"one"]
        assert journal.end == whole
        journal.append(b"two, which is longer")
        journal.close()


def test_a_damaged_record_ends_what_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    journal.append(b"one")
    at = journal.append(b"two")
    journal.append(b"three")
    journal.close()
    with open(tmp_path / "journal", "r+b") as file:
        file.seek(16 + at + 8)
        file.write(b"TWO")
    journal = Journal(tmp_path / "journal", 0)
    assert contents(journal) == [b"one"]
    journal.close()


def test_a_hole_is_no_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    journal.append(b"one")
    journal.close()
    os.truncate(tmp_path / "journal", 4096)
    journal = Journal(tmp_path / "journal", 0)
    assert contents(journal) == [b"one"]
    journal.close()


def test_positions_grow_when_the_journal_is_cut_and_opened_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", 0)
    journal.append(b"one")
    second = journal.append(b"two")
    journal.cut(second)
    assert (journal.first, contents(journal)) == (second, [b"two"])
    third = journal.append(b"three")
    assert journal.read(second) == b"two"
    journal.cut(journal.end)
    end = journal.end
    assert end > third
    journal.close()
    journal = Journal(tmp_path / "journal", 0)
    assert (journal.first, journal.end, contents(journal)) == (end, end, [])
    journal.close()


@pytest.mark.parametrize("lost", [0, 8, 16, 20])
def test_positions_never_go_below_what_the_history_has(tmp_path: Path, lost: int) -> None:
    journal = Journal(tmp_path / "journal", 0)
    journal.append(b"one")
    journal.append(b"two")
    end = journal.end
    journal.close()
    os.truncate(tmp_path / "journal", lost)
    journal = Journal(tmp_path / "journal", end)
    assert journal.append(b"three") == end
    assert contents(journal) == [b"three"]
    journal.close()


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=50), st.booleans(), st.booleans()), max_size=30))
def test_cutting_and_reopening_keep_what_is_not_consumed(steps: list[tuple[bytes, bool, bool]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal"
        journal = Journal(path, 0)
        expected: list[tuple[int, bytes]] = []
        for payload, cut, reopen in steps:
            expected.append((journal.append(payload), payload))
            if cut:
                expected = expected[len(expected) // 2 :]
                journal.cut(expected[0][0])
            if reopen:
                journal.close()
                journal = Journal(path, expected[0][0])
            assert list(journal.records(journal.first)) == expected
        journal.close()
