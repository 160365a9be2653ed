"""Links, listings, ranges and cursors of files, without a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronicle.model.errors import InvalidPathError
from chronicle.model.iterations import Entry, Version
from chronicle.model.paths import joined
from podium.coordinator.domain.cursors import DiffCursor, ListingCursor, diff_cursor, listing_cursor
from podium.coordinator.domain.links import followed
from podium.coordinator.domain.listing import listed
from podium.coordinator.domain.ranges import Span, has_tag, span_of, tags_of
from podium.wire.errors import PodiumError


def file() -> Version:
    return Version(1, 1, 0o100644, 0, 1, b"\0" * 32, None, None)


def directory() -> Version:
    return Version(1, 1, 0o040755, 0, 0, None, None, None)


def link(target: bytes) -> Version:
    return Version(1, 1, 0o120777, 0, 0, None, target, None)


TREE = {
    b"": directory(),
    b"d": directory(),
    b"d/f": file(),
    b"d/e": directory(),
    b"d/e/back": link(b"../f"),
    b"near": link(b"d"),
    b"far": link(b"near/e"),
    b"dots": link(b"./d/./e/.."),
    b"root": link(b"."),
    b"absolute": link(b"/etc"),
    b"up": link(b"../x"),
    b"higher": link(b"d/../../etc"),
    b"loop": link(b"loop"),
    b"ping": link(b"pong"),
    b"pong": link(b"ping"),
    b"dangling": link(b"nothing"),
}


@pytest.mark.parametrize(
    ("path", "ends"),
    [
        (b"d/f", b"d/f"),
        (b"near/f", b"d/f"),
        (b"far/back", b"d/f"),
        (b"dots/f", b"d/f"),
        (b"root/root/near/e/back", b"d/f"),
        (b"far", b"d/e"),
        (b"root", b""),
    ],
)
def test_links_are_followed_to_what_they_mean(path: bytes, ends: bytes) -> None:
    where, found = followed(path, TREE.get)
    assert (where, found) == (ends, TREE[ends])


@pytest.mark.parametrize("path", [b"absolute", b"absolute/passwd", b"up", b"higher", b"loop", b"ping", b"ping/x"])
@pytest.mark.proves("CHR-AGENT-ESCAPES")
def test_links_that_lead_out_or_nowhere_in_the_end_are_refused(path: bytes) -> None:
    with pytest.raises(InvalidPathError):
        followed(path, TREE.get)


@pytest.mark.parametrize("path", [b"dangling", b"nothing", b"d/f/x", b"near/none"])
def test_what_is_not_there_is_not_there(path: bytes) -> None:
    assert followed(path, TREE.get)[1] is None


names = st.text("abc", min_size=1, max_size=2).map(str.encode)
trees = st.recursive(st.none(), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=25)


@given(tree=st.dictionaries(names, trees, max_size=5), depth=st.integers(1, 5), size=st.integers(1, 4))
def test_pages_of_a_listing_are_the_whole_in_order(tree: dict[bytes, object], depth: int, size: int) -> None:
    def at(path: bytes) -> object:
        found: object = tree
        for part in path.split(b"/") if path else ():
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def entries(path: bytes, after: bytes, limit: int) -> list[Entry]:
        there = at(path)
        if not isinstance(there, dict):
            return []
        shown = sorted(name for name in there if name > after)[:limit]
        return [
            Entry(name, joined(path, name), directory() if isinstance(there[name], dict) else file()) for name in shown
        ]

    whole = [entry.path for entry in listed(entries, b"", depth, None, 1000)]
    assert all(path.count(b"/") < depth for path in whole)
    assert whole == sorted(whole, key=lambda path: path.split(b"/"))
    pages: list[bytes] = []
    after: bytes | None = None
    while page := listed(entries, b"", depth, after, size):
        after = page[-1].path
        pages += [entry.path for entry in page]
    assert pages == whole


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-", Span(2, 10)),
        ("bytes=2-99", Span(2, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-99", Span(0, 10)),
        ("bytes=10-", Span(10, 10)),
        ("bytes=-0", Span(10, 10)),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        ("bytes=x-y", None),
    ],
)
def test_a_range_is_one_span_of_bytes_or_ignored(header: str | None, expected: Span | None) -> None:
    assert span_of(header, 10) == expected


def test_tags_are_compared_without_their_dress() -> None:
    assert tags_of('"a", W/"b" ,*') == ["a", "b", "*"]
    assert tags_of(None) is None
    assert has_tag('"x", "y"', "y")
    assert has_tag("*", "anything")
    assert not has_tag('"x"', "y")


@given(moment=st.integers(0, 10**15), after=st.binary(max_size=60))
def test_cursors_come_back_as_they_went(moment: int, after: bytes) -> None:
    assert listing_cursor(ListingCursor(moment, after).encoded()) == (moment, after)
    assert diff_cursor(DiffCursor(moment, 5, after).encoded()) == (moment, 5, after)


@pytest.mark.parametrize("text", ["", "x", "1", "1.%%", "-1.YQ==", "9" * 30 + ".YQ==", "1.2"])
def test_cursors_of_others_are_refused(text: str) -> None:
    with pytest.raises(PodiumError):
        diff_cursor(text)
    if text not in ("1",):
        with pytest.raises(PodiumError):
            listing_cursor(text)
