"""Directories listed several levels deep, page by page, without holding more than a page of any."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from chronicle.model.iterations import Entry
from chronicle.model.paths import joined

BATCH: Final = 256
"""Entries of one directory that are asked for at once."""

Entries = Callable[[bytes, bytes, int], list[Entry]]
"""What a directory holds: its path, the name to begin after, how many. Of what is no directory: nothing."""


def listed(entries: Entries, directory: bytes, depth: int, after: bytes | None, limit: int) -> list[Entry]:
    """The first `limit` entries at most `depth` levels below `directory` behind `after`, a path that an earlier page ended
    with (None: from the beginning). Sorted by name, a directory before what it holds.
    """
    if after is None:
        found = _below(entries, directory, b"", depth)
    else:
        rest = after[len(directory) :].lstrip(b"/") if directory else after
        found = _behind(entries, directory, rest.split(b"/"), depth)
    return list(islice(found, limit))


def _below(entries: Entries, directory: bytes, after: bytes, depth: int) -> Iterator[Entry]:
    while True:
        batch = entries(directory, after, BATCH)
        for entry in batch:
            yield entry
            if depth > 1 and entry.version.type == "directory":
                yield from _below(entries, entry.path, b"", depth - 1)
        if len(batch) < BATCH:
            return
        after = batch[-1].name


def _behind(entries: Entries, directory: bytes, parts: list[bytes], depth: int) -> Iterator[Entry]:
    first = joined(directory, parts[0])
    if depth > 1 and len(parts) > 1:
        yield from _behind(entries, first, parts[1:], depth - 1)
    elif depth > 1:
        yield from _below(entries, first, b"", depth - 1)
    yield from _below(entries, directory, parts[0], depth)
