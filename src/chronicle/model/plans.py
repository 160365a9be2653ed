"""How a tree becomes another one: ordered steps. What is the same in both is not touched."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from chronicle.model.iterations import Difference, Version

Links = Mapping[int, Sequence[bytes]]
"""All names of nodes that have several (`History.links`)."""


class Remove(msgspec.Struct, frozen=True):
    """Remove the name. Of a directory nothing recorded is left then; what else it holds (excluded paths) may keep it."""

    path: bytes
    is_directory: bool


class MakeDirectory(msgspec.Struct, frozen=True):
    """Make the directory; its mode and times come last, so that it can be filled."""

    path: bytes


class WriteFile(msgspec.Struct, frozen=True):
    """Give the file the version's content: in the file that is there, or in a new one when none is."""

    path: bytes
    version: Version


class MakeSymlink(msgspec.Struct, frozen=True):
    """Make a symbolic link. Nothing is there."""

    path: bytes
    target: bytes


class MakeSpecial(msgspec.Struct, frozen=True):
    """Make a fifo, socket or device file of this mode. Nothing is there."""

    path: bytes
    mode: int


class Link(msgspec.Struct, frozen=True):
    """Make `path` a further name of the file at `source`. Nothing is at `path`."""

    path: bytes
    source: bytes


class SetXattrs(msgspec.Struct, frozen=True):
    """Make these the extended attributes, all of them."""

    path: bytes
    xattrs: dict[bytes, bytes]


class SetMode(msgspec.Struct, frozen=True):
    """Set the permission bits of `mode` (`st_mode`)."""

    path: bytes
    mode: int


class SetTimes(msgspec.Struct, frozen=True):
    """Set the modification time (nanoseconds since 1970), of a symbolic link its own."""

    path: bytes
    mtime_ns: int


Step = Remove | MakeDirectory | WriteFile | MakeSymlink | MakeSpecial | Link | SetXattrs | SetMode | SetTimes


def restore_plan(
    differences: Iterable[Difference], *, before_links: Links | None = None, after_links: Links | None = None
) -> list[Step]:
    """Steps from the tree as `before` to the tree as `after`, to be done in this order.

    Removals, deepest first; directories, parents first; contents; symbolic links and special files; further names of files;
    attributes, deepest first, so that a directory is closed after what is in it; times, because all else changes them.

    `before_links`, `after_links`: all names of the differing nodes that have several (at either moment), also names that
    don't differ themselves. When only a directory is restored, `after_links` must not have names outside it: those don't
    become what they were. Without links only the names among the differences are known to be one file.
    """
    return _Plan(list(differences), before_links or {}, after_links or {}).steps()


class _Plan:
    def __init__(self, differences: list[Difference], before_links: Links, after_links: Links) -> None:
        self._differences = {difference.path: difference for difference in differences}
        self._before = _names(before_links, ((item.path, item.before) for item in differences))
        self._after = _names(after_links, ((item.path, item.after) for item in differences))

    def steps(self) -> list[Step]:
        removed: list[Step] = []
        directories: list[Step] = []
        contents: list[Step] = []
        others: list[Step] = []
        links: list[Step] = []
        attributes: list[Step] = []
        times: list[Step] = []
        for path in sorted(self._differences):
            before, after = self._differences[path].before, self._differences[path].after
            stays = self._stays(path)
            if before is not None and not stays:
                removed.append(Remove(path, before.type == "directory"))
            if after is None:
                continue
            first = self._first(path, after)
            if first != path:
                if not stays:
                    links.append(Link(path, first))
                continue
            old = before if stays else None
            changed = self._content(path, old, after)
            if changed is not None:
                {MakeDirectory: directories, WriteFile: contents}.get(type(changed), others).append(changed)
                times.append(SetTimes(path, after.mtime_ns))
            attributes += _attributes(path, old, after)
        return [
            *sorted(removed, key=_deepest_first),
            *directories,
            *contents,
            *others,
            *links,
            *sorted(attributes, key=_deepest_first),
            *sorted(times, key=_deepest_first),
        ]

    def _stays(self, path: bytes) -> bool:
        """Whether what is at the path can become what is to be there, without touching what other names mean."""
        before, after = self._differences[path].before, self._differences[path].after
        if before is None or after is None or before.type != after.type:
            return False
        if before.type == "directory":
            return True
        if self._before[before.node] != self._after[after.node]:
            return False
        return before.type == "file" or (before.target, before.mode) == (after.target, after.mode)

    def _first(self, path: bytes, after: Version) -> bytes:
        """The name of the file that is written; its other names become links to it.

        A name that doesn't differ is the file already.
        """
        if after.type == "directory":
            return path
        names = self._after[after.node]
        return min(names, key=lambda name: (name in self._differences, name))

    def _content(self, path: bytes, old: Version | None, after: Version) -> Step | None:
        """The step that makes what is to be there, None when it is there."""
        match after.type:
            case "directory":
                return MakeDirectory(path) if old is None else None
            case "file":
                return WriteFile(path, after) if old is None or old.digest != after.digest else None
            case "symlink":
                return MakeSymlink(path, after.target or b"") if old is None else None
            case "special":
                return MakeSpecial(path, after.mode) if old is None else None


def _names(links: Links, versions: Iterable[tuple[bytes, Version | None]]) -> dict[int, frozenset[bytes]]:
    """The known names of each node."""
    names: dict[int, set[bytes]] = {node: set(paths) for node, paths in links.items()}
    for path, version in versions:
        if version is not None:
            names.setdefault(version.node, set()).add(path)
    return {node: frozenset(paths) for node, paths in names.items()}


def _attributes(path: bytes, old: Version | None, after: Version) -> list[Step]:
    steps: list[Step] = []
    xattrs = after.xattrs or {}
    if xattrs != ((old.xattrs if old else None) or {}):
        steps.append(SetXattrs(path, xattrs))
    # A symbolic link has no permissions of its own.
    if after.type != "symlink" and (old is None or old.mode != after.mode):
        steps.append(SetMode(path, after.mode))
    return steps


def _deepest_first(step: Step) -> tuple[int, bytes]:
    return (-step.path.count(b"/") - bool(step.path), step.path)
