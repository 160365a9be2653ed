"""Reading a file that changes meanwhile, and parts of large ones."""

from collections.abc import Iterator
from pathlib import Path

from chronicle import Workspace
from podium.coordinator.api.files import cut, find_file
from podium.coordinator.domain.ranges import Span


def test_what_is_read_is_what_was_found_whatever_is_written_in_between(tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "ws") as library:
        library.put("d/f", b"first")
        found = find_file(library, b"d/f", None)
        library.put("d/f", b"the second, and longer")
        assert b"".join(library.pieces(found.path, found.moment)) == b"first"
        assert len(library.read(found.path, found.moment)) == found.version.size
        library.remove("d")
        assert library.read(found.path, found.moment) == b"first"


def test_what_lies_before_a_span_is_read_piece_by_piece_and_not_given_out() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            taken.append(number)
            yield b"%04d" % number

    span = cut(pieces(), Span(42, 50))
    assert next(span) == b""
    assert taken == [0]  # one piece of work for each answer, so that each has its time
    rest = list(span)
    assert b"".join(rest) == b"".join(b"%04d" % n for n in range(100))[42:50]
    assert taken[-1] == 12
    assert list(cut(iter(()), Span(0, 0))) == []
