"""Conditional and partial reads of a file (RFC 9110 §13, §14): what the headers of a request ask for."""

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)


class Span(NamedTuple):
    """Bytes from `start` up to and without `stop`. An empty one can't be satisfied."""

    start: int
    stop: int


def span_of(header: str | None, size: int) -> Span | None:
    """The one range that a `Range` header asks of `size` bytes.

    None: the whole, also for several ranges, other units and what is malformed, which a server may ignore (§14.2). A range that
    begins behind the end gives an empty span: 416.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        last = int(found[2])
        return Span(max(0, size - last), size) if last else Span(size, size)
    start = int(found[1])
    stop = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None
    return Span(min(start, size), max(stop, min(start, size)))


def tags_of(header: str | None) -> list[str] | None:
    """The entity tags in an `If-Match` or `If-None-Match` header, without quotes and `W/`; `*` stays. None: no header."""
    if header is None:
        return None
    return [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",") if tag.strip()]


def has_tag(header: str | None, tag: str) -> bool:
    """Whether a header that lists entity tags names this one (or any, `*`)."""
    tags = tags_of(header)
    return tags is not None and ("*" in tags or tag in tags)
