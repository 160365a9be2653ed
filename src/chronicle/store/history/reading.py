"""Questions about paths: what was there, what is in a directory, what happened to it."""

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from chronicle.model.iterations import Checkpoint, Entry, Iteration, Version
from chronicle.model.paths import joined
from chronicle.store.history.schema import KINDS, ROOT
from chronicle.store.history.segments import FOREVER, ITERATION_COLUMNS, Chain, Row, root_version

CHECKPOINT_COLUMNS = "n, at_ms, label, turn_id"

_LATER_PAGE: Final = 500
"""Versions of so many nodes keep a lock for about a millisecond."""

_FIRST_PAGE: Final = 100
"""Entries whose versions are asked for together at first: most directories have fewer, and who wants a few gets no more."""

_REGULAR = 0o100000
_TYPE = 0o170000

_xattrs = msgspec.msgpack.Decoder(dict[bytes, bytes])


def iteration_of(row: Row) -> Iteration:
    """The iteration of a row (`ITERATION_COLUMNS`)."""
    n, code, path, source, at_ms, mode, size, digest, turn_id = row
    kind = KINDS[code]
    if kind == "delete":
        return Iteration(n, path, kind, at_ms, turn_id=turn_id)
    regular = mode & _TYPE == _REGULAR
    return Iteration(
        n,
        path,
        kind,
        at_ms,
        size if regular else None,
        digest.hex() if digest is not None else None,
        mode,
        source,
        turn_id,
    )


def version_of(row: Row) -> Version:
    """The version of a row (`VERSION_COLUMNS`)."""
    node, n, mode, mtime_ns, size, digest, target, xattrs = row
    return Version(node, n, mode, mtime_ns, size, digest, target, None if xattrs is None else _xattrs.decode(xattrs))


def components(path: bytes) -> list[bytes]:
    """The names a path consists of."""
    return path.split(b"/") if path else []


def node_at(chain: Chain, path: bytes, at: int) -> int | None:
    """What was at the path at that moment."""
    node = ROOT
    for name in components(path):
        found = chain.slot(node, name, at)
        if found is None:
            return None
        node = found
    return node


def version_at(chain: Chain, node: int, at: int) -> Version:
    """What the node was at that moment; it has to have existed then."""
    row = chain.node(node, at)
    if row is None:
        if node != ROOT:
            raise KeyError(node)
        row = root_version()
    return version_of(row)


def entries(chain: Chain, path: bytes, node: int, at: int, after: bytes | None = None) -> Iterator[Entry]:
    """What the directory `node`, which is at `path`, held at that moment, sorted by name."""
    names, size = chain.names(node, at, after), _FIRST_PAGE
    while page := list(islice(names, size)):
        rows = chain.nodes([child for _, child in page], at)
        for name, child in page:
            row = rows.get(child)
            yield Entry(name, joined(path, name), version_at(chain, child, at) if row is None else version_of(row))
        size = _LATER_PAGE


def walk(chain: Chain, path: bytes, node: int, at: int) -> Iterator[Entry]:
    """Everything below the directory, parents before children, sorted by name in each directory."""
    pending = [entries(chain, path, node, at)]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
            continue
        yield entry
        if entry.version.type == "directory":
            pending.append(entries(chain, entry.path, entry.version.node, at))


def names_of(chain: Chain, node: int, at: int, directories: dict[int, bytes | None] | None = None) -> list[bytes]:
    """All paths of a node at that moment, sorted; none when it can't be reached.

    `directories` remembers, for whoever asks of many nodes at one moment, the paths of what they lie in.
    """
    if node == ROOT:
        return [b""]
    known = {} if directories is None else directories
    paths = []
    for parent, name in chain.named(node, at):
        if parent not in known:
            known[parent] = path_of_directory(chain, parent, at)
        directory = known[parent]
        if directory is not None:
            paths.append(joined(directory, name))
    return sorted(paths)


def path_of_directory(chain: Chain, node: int, at: int) -> bytes | None:
    """The one path of a directory at that moment."""
    names: list[bytes] = []
    while node != ROOT:
        slots = chain.named(node, at)
        if not slots or len(names) > at:
            return None
        node, name = slots[0]
        names.append(name)
    return b"/".join(reversed(names))


Life = tuple[int, int, int]
"""A time in which a path meant a node: node, from this iteration, until before that one."""


def lives(chain: Chain, path: bytes) -> Iterator[Life]:
    """Which nodes the path meant, newest first, through all removals and re-makings of it and of what it lies in."""
    spans: list[Life] = [(ROOT, 0, FOREVER)]
    names = components(path)
    for name in names[:-1]:
        spans = [life for span in spans for life in _lives_within(chain, span, name)]
    if not names:
        yield from spans
        return
    for span in spans:
        yield from _lives_within(chain, span, names[-1])


def _lives_within(chain: Chain, span: Life, name: bytes) -> Iterator[Life]:
    directory, begin, end = span
    for n, node in chain.slot_lives(directory, name, end):
        start = max(n, begin)
        if node is not None and start < end:
            yield node, start, end
        end = n
        if n <= begin:
            return


def history(chain: Chain, path: bytes, before: int) -> Iterator[Iteration]:
    """The path's iterations before `before`, newest first.

    Of each node that was ever there: everything that happened to it until it left (also under the names it had before
    it came), with the iteration that made it leave.
    """
    waiting = lives(chain, path)
    coming = next(waiting, None)
    seen: set[int] = set()
    opened: list[tuple[int, Row, Iterator[Row]]] = []
    while coming is not None or opened:
        # A life contributes nothing newer than its end, so that older lives are looked at only when their time comes.
        while coming is not None and (not opened or coming[2] >= -opened[0][0]):
            node, _, end = coming
            if node not in seen:
                seen.add(node)
                rows = chain.node_rows(node, min(end, before - 1))
                row = next(rows, None)
                if row is not None:
                    heapq.heappush(opened, (-row[0], row, rows))
            coming = next(waiting, None)
        if not opened:
            continue
        _, row, rows = heapq.heappop(opened)
        yield iteration_of(row)
        following = next(rows, None)
        if following is not None:
            heapq.heappush(opened, (-following[0], following, rows))


def log(chain: Chain, after: int, upto: int, newest_first: bool, within: bytes) -> Iterator[Iteration]:
    """Iterations `after < n <= upto`, of paths within a directory."""
    condition, arguments = "", []
    if within:
        # What lies below a directory sorts between its name with "/" and its name with the byte after "/".
        below = "({0}=? OR ({0}>? AND {0}<?))"
        condition = f"AND ({below.format('path')} OR {below.format('source')})"
        arguments = [within, within + b"/", within + b"0"] * 2
    rows = (chain.descending if newest_first else chain.ascending)(ITERATION_COLUMNS, after, upto, condition, arguments)
    return (iteration_of(row) for row in rows)


def checkpoints(chain: Chain, newest_first: bool, limit: int) -> list[Checkpoint]:
    """Checkpoints by moment; of one moment, in the order in which they were made."""
    found: list[Row] = []
    direction = "DESC" if newest_first else ""
    for segment in chain.segments if newest_first else reversed(chain.segments):
        found += segment.rows(
            f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoint WHERE n<=? ORDER BY n {direction}, id {direction} LIMIT ?",
            (segment.cut, limit - len(found)),
        )
        if len(found) >= limit:
            break
    return [Checkpoint(*row) for row in found]


def checkpoint(chain: Chain, label_or_turn: str) -> Checkpoint | None:
    """The newest checkpoint of this label, else of this turn."""
    for column in ("label", "turn_id"):
        for segment in chain.segments:
            row = segment.row(
                f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoint WHERE {column}=? AND n<=? ORDER BY n DESC, id DESC LIMIT 1",
                (label_or_turn, segment.cut),
            )
            if row is not None:
                return Checkpoint(*row)
    return None
