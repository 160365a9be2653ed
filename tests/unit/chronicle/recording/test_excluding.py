"""What restoring and importing write beside has no history; what only looks like it has one."""

from pathlib import Path

import pytest

from chronicle.recording.excluding import Excluded
from tests.unit.chronicle.recording.place import layout_at, open_place


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b".chronicle-new-0123456789abcdef", True),
        (b"d/.chronicle-new-0", True),
        (b"d/.chronicle-new-0/below", True),
        (b".chronicle-new", False),
        (b"d/.chronicle-new", False),
        (b"a.chronicle-new-0", False),
        (b"d/a.chronicle-new-0/b", False),
    ],
)
def test_names_that_begin_as_ours_are_excluded_wherever_they_are(path: bytes, expected: bool) -> None:
    assert Excluded(())(path) is expected


def test_a_file_called_as_ours_once_were_is_recorded_and_one_beside_is_not(tmp_path: Path) -> None:
    with open_place(*layout_at(tmp_path / "w")) as place:
        place.make(b".chronicle-new", b"a user's")
        place.make(b".chronicle-new-1", b"ours")
        place.rename(b".chronicle-new-1", b"b")
        place.recorder.barrier(10)
        assert place.versions(b".chronicle-new") == [b"a user's"]
        assert place.versions(b"b") == [b"ours"]
        assert place.kinds() == [("create", b".chronicle-new"), ("create", b"b")]
