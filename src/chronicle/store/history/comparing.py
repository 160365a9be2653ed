"""Two moments compared path by path, in the order of the tree, from any path on: nothing is held that grows with what differs.

Two ways, chosen by how much happened between the moments. After little, only the paths that it touched are looked at. After much,
both trees are walked side by side. What is looked at and is the same is told as well, so that whoever asks can stop anywhere.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from chronicle.model.errors import InvalidInputError
from chronicle.model.iterations import Difference, Version
from chronicle.model.paths import is_within, joined
from chronicle.store.history import reading
from chronicle.store.history.differing import Differ
from chronicle.store.history.segments import Chain

TOUCHED: Final = 4096
"""Most changes between two moments whose paths are found first. That takes some 50 ms, and half a megabyte."""

Compared = tuple[bytes, Difference | None]
"""A path that was looked at, and how it differs; None: it does not."""


class _Mark:
    """A path something happened to, or above one. `whole`: it may mean another node, so that all below it may differ."""

    __slots__ = ("below", "whole")

    def __init__(self) -> None:
        self.below: dict[bytes, _Mark] = {}
        self.whole = False

    def at(self, names: list[bytes]) -> "_Mark":
        """The mark of a path below, made if there is none."""
        mark = self
        for name in names:
            mark = mark.below.setdefault(name, _Mark())
        return mark

    def known(self, name: bytes) -> "_Mark | None":
        """The mark of a name in this directory; itself when all below it counts, None when nothing happened there."""
        return self if self.whole else self.below.get(name)


class _Place(NamedTuple):
    """A path at both moments, by its nodes."""

    name: bytes
    nodes: tuple[int | None, int | None]
    mark: _Mark


class Comparison(Differ):
    """Walks two moments, `before` and `after`; either may be the earlier one."""

    def __init__(self, chain: Chain, before: int, after: int, within: bytes, touched: int = TOUCHED) -> None:
        super().__init__(chain, before, after, within)
        self._marks = self._marked(touched)

    def walk(self, behind: bytes | None) -> Iterator[Compared]:
        """What comes behind the path `behind` (None: everything), a directory before what it holds, sorted by name in each.

        Raises:
            InvalidInputError: `behind` does not lie within the directory that is compared.
        """
        if behind is not None and not is_within(behind, self._within):
            raise InvalidInputError("the path to go on behind does not lie within what is compared")
        return self._walk(behind)

    def _walk(self, behind: bytes | None) -> Iterator[Compared]:
        place = self._root()
        if place is None:
            return
        path = self._within
        if behind is None:
            compared, versions = self._compare(path, place)
            yield compared
            stack = [(path, self._below(place, versions, b""))]
        else:
            stack = self._resumed(place, behind)
        while stack:
            directory, places = stack[-1]
            following = next(places, None)
            if following is None:
                stack.pop()
                continue
            path = joined(directory, following.name)
            compared, versions = self._compare(path, following)
            yield compared
            if any(version is not None and version.type == "directory" for version in versions):
                stack.append((path, self._below(following, versions, b"")))

    def _resumed(self, place: _Place, behind: bytes) -> list[tuple[bytes, Iterator[_Place]]]:
        """Where a walk stands that told `behind` last."""
        stack = []
        path = self._within
        rest = behind[len(path) :].lstrip(b"/") if path else behind
        for name in reading.components(rest):
            directories = self._directories(place.nodes, self._versions(place.nodes))
            stack.append((path, self._below(place, self._versions(place.nodes), name)))
            mark = place.mark.known(name)
            if mark is None:
                return stack
            place = _Place(name, self._meant(directories, name), mark)
            path = joined(path, name)
        stack.append((path, self._below(place, self._versions(place.nodes), b"")))
        return stack

    def _root(self) -> _Place | None:
        """Where a walk begins; None: nothing can differ there."""
        mark: _Mark | None = self._marks
        for name in reading.components(self._within):
            mark = mark.known(name) if mark is not None else None
        if mark is None or self._moments[0] == self._moments[1]:
            return None
        before, after = (reading.node_at(self._chain, self._within, moment) for moment in self._moments)
        return None if before is None and after is None else _Place(b"", (before, after), mark)

    def _compare(self, path: bytes, place: _Place) -> tuple[Compared, tuple[Version | None, Version | None]]:
        old, new = versions = self._versions(place.nodes)
        same = old is not None and new is not None and self._same(old, new)
        return (path, None if same else Difference(path, old, new)), versions

    def _versions(self, nodes: tuple[int | None, int | None]) -> tuple[Version | None, Version | None]:
        old, new = (
            None if node is None else reading.version_at(self._chain, node, moment)
            for node, moment in zip(nodes, self._moments, strict=True)
        )
        return old, new

    @staticmethod
    def _directories(
        nodes: tuple[int | None, int | None], versions: tuple[Version | None, Version | None]
    ) -> tuple[int | None, int | None]:
        old, new = (
            node if version is not None and version.type == "directory" else None
            for node, version in zip(nodes, versions, strict=True)
        )
        return old, new

    def _meant(self, directories: tuple[int | None, int | None], name: bytes) -> tuple[int | None, int | None]:
        old, new = (
            None if directory is None else self._chain.slot(directory, name, moment)
            for directory, moment in zip(directories, self._moments, strict=True)
        )
        return old, new

    def _below(self, place: _Place, versions: tuple[Version | None, Version | None], behind: bytes) -> Iterator[_Place]:
        """What a directory holds at either moment, of the names behind one."""
        directories = self._directories(place.nodes, versions)
        if place.mark.whole:
            yield from self._side_by_side(directories, place.mark, behind)
            return
        for name in sorted(place.mark.below):
            if name > behind:
                nodes = self._meant(directories, name)
                if nodes != (None, None):
                    yield _Place(name, nodes, place.mark.below[name])

    def _side_by_side(self, directories: tuple[int | None, int | None], mark: _Mark, behind: bytes) -> Iterator[_Place]:
        sides = [
            iter(()) if directory is None else self._chain.names(directory, moment, behind)
            for directory, moment in zip(directories, self._moments, strict=True)
        ]
        old, new = (next(side, None) for side in sides)
        while old is not None or new is not None:
            name = min(each[0] for each in (old, new) if each is not None)
            before = after = None
            if old is not None and old[0] == name:
                before, old = old[1], next(sides[0], None)
            if new is not None and new[0] == name:
                after, new = new[1], next(sides[1], None)
            yield _Place(name, (before, after), mark)

    def _marked(self, touched: int) -> _Mark:
        begin, end = sorted(self._moments)
        root = _Mark()
        if begin == 0 or end - begin > touched:
            root.whole = True
            return root
        nodes, slots = self._touched(begin, end)
        for moment in self._moments:
            directories: dict[int, bytes | None] = {}
            for node in nodes:
                for path in reading.names_of(self._chain, node, moment, directories):
                    root.at(reading.components(path))
            for parent, name in slots:
                if parent not in directories:
                    directories[parent] = reading.path_of_directory(self._chain, parent, moment)
                directory = directories[parent]
                if directory is not None:
                    root.at([*reading.components(directory), name]).whole = True
        return root
