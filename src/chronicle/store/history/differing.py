"""What differs between two moments, found from what happened between them and not from the size of the tree."""

from collections.abc import Iterable, Iterator

from chronicle.model.differences import same_content
from chronicle.model.iterations import Difference, Version
from chronicle.model.paths import is_within, joined, name_of
from chronicle.store.history import reading
from chronicle.store.history.schema import CODES, ROOT
from chronicle.store.history.segments import Chain

_COLUMNS = "n, kind, node, parent, path, source_parent, source"
_ALTERING = frozenset(CODES[kind] for kind in ("modify", "chmod", "xattr"))


class Differ:
    """Compares two moments, `before` and `after`; either may be the earlier one."""

    def __init__(self, chain: Chain, before: int, after: int, within: bytes) -> None:
        self._chain = chain
        self._moments = (before, after)
        self._within = within

    def differences(self) -> list[Difference]:
        """Every path within the directory that differs, sorted; what lies in a directory renamed since differs too."""
        begin, end = sorted(self._moments)
        if begin == end:
            return []
        nodes, slots = self._touched(begin, end) if begin else (set(), set())
        sides = tuple(
            dict(self._everything(moment) if not begin and moment else self._candidates(nodes, slots, moment))
            for moment in self._moments
        )
        before, after = sides
        for path in before.keys() | after.keys():
            for side, moment in zip(sides, self._moments, strict=True):
                if path not in side:
                    version = self._lookup(path, moment)
                    if version is not None:
                        side[path] = version
        found = []
        for path in sorted(before.keys() | after.keys()):
            old, new = before.get(path), after.get(path)
            if old is None or new is None or not self._same(old, new):
                found.append(Difference(path, old, new))
        return found

    def _candidates(
        self, nodes: set[int], slots: set[tuple[int, bytes]], moment: int
    ) -> Iterator[tuple[bytes, Version]]:
        """What was, at that moment, at the paths that anything between could have changed."""
        directories: dict[int, bytes | None] = {}
        for parent, name in slots:
            yield from self._below_slot(parent, name, moment)
        for node in nodes:
            names = reading.names_of(self._chain, node, moment, directories)
            paths = [path for path in names if is_within(path, self._within)]
            if paths:
                version = reading.version_at(self._chain, node, moment)
                yield from ((path, version) for path in paths)

    def _touched(self, begin: int, end: int) -> tuple[set[int], set[tuple[int, bytes]]]:
        """The nodes that became other versions, and the slots that mean something else."""
        nodes: set[int] = set()
        slots: set[tuple[int, bytes]] = set()
        for _, kind, node, parent, path, source_parent, source in self._chain.ascending(_COLUMNS, begin, end):
            if kind in _ALTERING:
                nodes.add(node)
                continue
            slots.add((parent, name_of(path)))
            if source is not None and kind != CODES["link"]:
                slots.add((source_parent, name_of(source)))
        # What lies in a directory that was made or removed between is found below that directory's own slot.
        parents = {parent for parent, _ in slots}
        passing = {parent for parent in parents if parent > begin + 1 or not self._has_name(parent, end)}
        changed = {
            (parent, name)
            for parent, name in slots
            if parent not in passing and self._chain.slot(parent, name, begin) != self._chain.slot(parent, name, end)
        }
        return {node for node in nodes if node <= begin + 1}, changed

    def _has_name(self, node: int, at: int) -> bool:
        return node == ROOT or bool(self._chain.named(node, at))

    def _everything(self, moment: int) -> Iterator[tuple[bytes, Version]]:
        version = self._lookup(self._within, moment)
        if version is not None:
            yield from self._subtree(self._within, version, moment)

    def _below_slot(self, parent: int, name: bytes, moment: int) -> Iterator[tuple[bytes, Version]]:
        node = self._chain.slot(parent, name, moment)
        directory = None if node is None else reading.path_of_directory(self._chain, parent, moment)
        if node is None or directory is None:
            return
        path = joined(directory, name)
        if is_within(path, self._within):
            yield from self._subtree(path, reading.version_at(self._chain, node, moment), moment)
        elif is_within(self._within, path):
            yield from self._everything(moment)

    def _subtree(self, path: bytes, version: Version, moment: int) -> Iterator[tuple[bytes, Version]]:
        yield path, version
        if version.type == "directory":
            for entry in reading.walk(self._chain, path, version.node, moment):
                yield entry.path, entry.version

    def _lookup(self, path: bytes, moment: int) -> Version | None:
        node = reading.node_at(self._chain, path, moment)
        return None if node is None else reading.version_at(self._chain, node, moment)

    def _same(self, old: Version, new: Version) -> bool:
        if not same_content(old, new):
            return False
        if old.node == new.node or old.type == "directory":
            return True
        # Another file with the same content: that differs only in which names are one file.
        return self._names(old.node, 0) == self._names(new.node, 1)

    def _names(self, node: int, side: int) -> list[bytes]:
        return reading.names_of(self._chain, node, self._moments[side])


def linked(chain: Chain, nodes: Iterable[int], at: int, within: bytes) -> dict[int, list[bytes]]:
    """All names in the directory of those of the nodes that have several there at that moment."""
    found = {}
    directories: dict[int, bytes | None] = {}
    for node in set(nodes):
        names = [name for name in reading.names_of(chain, node, at, directories) if is_within(name, within)]
        if len(names) > 1:
            found[node] = names
    return found
