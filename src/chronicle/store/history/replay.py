"""Does the history make sense? Its iterations are carried out again, on names in memory, and compared with its slots."""

from collections.abc import Iterator
from typing import Final

import msgspec

from chronicle.model.changes import DIRECTORY, REGULAR, SYMLINK, TYPE_MASK
from chronicle.model.findings import Finding
from chronicle.model.paths import joined, name_of
from chronicle.store.history.schema import KINDS, ROOT
from chronicle.store.history.segments import Row

REPLAYED: Final = (
    "n, kind, node, parent, path, source_parent, source, at_ms, mode, mtime_ns, size, digest, target, xattrs"
)
"""Columns of an iteration as `Replay.step` takes them."""

DIGEST_BYTES: Final = 32
"""BLAKE3 as everywhere in Chronicle."""

_MAKING: Final = {"create": REGULAR, "mkdir": DIRECTORY, "symlink": SYMLINK, "special": None}
_NAMING: Final = frozenset({*_MAKING, "link"})

Slot = tuple[int, bytes]


class Replay:
    """The tree as of the iterations given so far. Needs about 400 bytes for each name that exists at the same time."""

    def __init__(self) -> None:
        self.head = 0
        self._at_ms = 0
        self._slots: dict[Slot, int] = {}
        self._names: dict[int, int] = {ROOT: 1}
        self._directories: dict[int, Slot | None] = {ROOT: None}
        self._children: dict[int, int] = {}
        self._exchanged: tuple[int, int] | None = None

    def step(self, row: Row, slots: dict[Slot, int | None]) -> Iterator[Finding]:
        """Carries out one iteration, with the slot rows of its number, and says what is wrong with it."""
        n, code, node, parent, path, source_parent, source, at_ms = row[:8]
        where = f"iteration {n}"
        if n != self.head + 1:
            yield Finding("gap", where, f"follows iteration {self.head}", "loss")
        self.head = n
        if at_ms < self._at_ms:
            yield Finding("time-backwards", where, f"{at_ms} ms is before {self._at_ms} ms")
        self._at_ms = max(self._at_ms, at_ms)
        if not 0 <= code < len(KINDS):
            yield Finding("unknown-kind", where, f"kind {code} means nothing")
            return
        kind = KINDS[code]
        yield from _wrong_attributes(where, kind, row)
        yield from self._wrong_node(where, kind, n, node)
        there = (parent, name_of(path))
        here = None if source is None else (source_parent, name_of(source))
        is_second = kind == "exchange" and self._exchanged == (n - 1, node)
        self._exchanged = (n, self._slots.get(there, 0)) if kind == "exchange" and not is_second else None
        yield from self._wrong_place(where, kind, node, there, path)
        if kind in ("rename", "exchange", "link") and not is_second and (not here or self._slots.get(here) != node):
            yield Finding("wrong-source", where, f"{source!r} is not what the iteration is about")
        expected = {} if is_second else self._expected(kind, node, there, here)
        yield from _wrong_slots(where, expected, slots)
        yield from self._carry_out(where, node if row[8] & TYPE_MASK == DIRECTORY else 0, slots)

    def _wrong_node(self, where: str, kind: str, n: int, node: int) -> Iterator[Finding]:
        if kind in _MAKING:
            if node != n + 1:
                yield Finding("node-number", where, f"makes node {node}, not {n + 1}")
        elif not self._names.get(node):
            yield Finding("dangling-node", where, f"is about node {node}, which has no name then")

    def _wrong_place(self, where: str, kind: str, node: int, there: Slot, path: bytes) -> Iterator[Finding]:
        if node == ROOT:
            if path or there[0]:
                yield Finding("wrong-path", where, f"the root is said to be at {path!r}")
            return
        if there[0] not in self._directories:
            yield Finding("dangling-parent", where, f"{path!r} is said to lie in node {there[0]}, no directory then")
            return
        directory = self._path(there[0])
        if directory is not None and joined(directory, there[1]) != path:
            yield Finding("wrong-path", where, f"{path!r} lies in {directory!r}")
        held = self._slots.get(there)
        if kind in _NAMING and held:
            yield Finding("occupied", where, f"{path!r} is made where node {held} is")
        if kind in ("delete", "modify", "chmod", "xattr") and held != node:
            yield Finding("wrong-path", where, f"{path!r} is not node {node}")

    def _expected(self, kind: str, node: int, there: Slot, here: Slot | None) -> dict[Slot, int | None]:
        if kind in _NAMING:
            return {there: node}
        if kind == "delete":
            return {there: None}
        if kind == "rename" and here is not None:
            return {here: None, there: node}
        if kind == "exchange" and here is not None:
            return {there: node, here: self._slots.get(there)}
        return {}

    def _carry_out(self, where: str, directory: int, slots: dict[Slot, int | None]) -> Iterator[Finding]:
        lost = {self._slots[slot] for slot in slots if slot in self._slots}
        for slot in slots:
            self._count(slot, self._slots.pop(slot, None), -1)
        for slot, held in slots.items():
            if held is None:
                continue
            self._slots[slot] = held
            self._count(slot, held, 1)
            if held == directory or held in self._directories:
                self._directories[held] = slot
        for node in lost:
            if not self._names.get(node):
                self._names.pop(node, None)
                self._directories.pop(node, None)
                if self._children.pop(node, 0):
                    yield Finding("orphans", where, f"directory node {node} goes with things in it")
        for held in {held for held in slots.values() if held in self._directories and held is not None}:
            if self._names.get(held, 0) > 1:
                yield Finding("directory-twice", where, f"directory node {held} has two names")
            if self._path(held) is None:
                yield Finding("cycle", where, f"directory node {held} lies in itself")

    def _count(self, slot: Slot, node: int | None, more: int) -> None:
        if node is not None:
            self._names[node] = self._names.get(node, 0) + more
            self._children[slot[0]] = self._children.get(slot[0], 0) + more

    def _path(self, node: int) -> bytes | None:
        """The path of a directory; None when it doesn't hang from the root."""
        names: list[bytes] = []
        while node != ROOT:
            slot = self._directories.get(node)
            if slot is None or len(names) > len(self._directories):
                return None
            node = slot[0]
            names.append(slot[1])
        return b"/".join(reversed(names))


def _wrong_slots(where: str, expected: dict[Slot, int | None], slots: dict[Slot, int | None]) -> Iterator[Finding]:
    for slot, node in expected.items():
        if slot not in slots:
            yield Finding("missing-slot", where, f"no row says what becomes of {slot[1]!r} in node {slot[0]}")
        elif slots[slot] != node:
            yield Finding("wrong-slot", where, f"{slot[1]!r} in node {slot[0]} is {slots[slot]} instead of {node}")
    for slot in slots.keys() - expected.keys():
        yield Finding("slot-without-iteration", where, f"says nothing of {slot[1]!r} in node {slot[0]}")


def _wrong_attributes(where: str, kind: str, row: Row) -> Iterator[Finding]:
    mode, _, size, digest, target, xattrs = row[8:14]
    type_bits = mode & TYPE_MASK
    wrong = []
    if kind in _MAKING and type_bits != (_MAKING[kind] or type_bits):
        wrong.append(f"mode {mode:o} does not fit {kind}")
    if kind == "special" and type_bits in (REGULAR, DIRECTORY, SYMLINK):
        wrong.append(f"mode {mode:o} does not fit {kind}")
    if kind == "modify" and type_bits != REGULAR:
        wrong.append(f"mode {mode:o} has no content to modify")
    if (digest is not None) != (type_bits == REGULAR) or (digest is not None and len(digest) != DIGEST_BYTES):
        wrong.append(f"mode {mode:o} does not fit the digest")
    if (target is not None) != (type_bits == SYMLINK):
        wrong.append(f"mode {mode:o} does not fit the target")
    if size < 0 or (size and type_bits != REGULAR):
        wrong.append(f"mode {mode:o} does not fit the size {size}")
    if xattrs is not None:
        try:
            msgspec.msgpack.decode(xattrs, type=dict[bytes, bytes])
        except msgspec.DecodeError as error:
            wrong.append(f"extended attributes: {error}")
    for message in wrong:
        yield Finding("attributes", where, message)
