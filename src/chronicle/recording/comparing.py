"""What differs between the working tree and the newest recorded moment, as notes in an order that can be applied."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from chronicle import reaching
from chronicle.layout import Layout
from chronicle.model.changes import DIRECTORY, REGULAR, SYMLINK, TYPE_MASK, Change
from chronicle.model.errors import FileNotFoundInHistoryError
from chronicle.model.iterations import Version
from chronicle.model.paths import joined
from chronicle.recording.notes import ChangeNote, WroteNote
from chronicle.store.history import History

HOLLOW_XATTR: Final = "user.chronicle.hollow"
"""Marks an entry that is as the history says and not here yet (`docs/internals/chronicle.md`, "Hollow entries")."""

_OWN_XATTRS: Final = b"user.chronicle."
_NO_XATTRS: Final = frozenset({errno.ENODATA, errno.ENOTSUP, errno.ENOENT, errno.EPERM, errno.EACCES, errno.ELOOP})

_NEVER_NS: Final = 1 << 63
"""Later than any file's time of change."""

Found = ChangeNote | WroteNote


class Comparison:
    """Compares a working tree with the head of a history. What is excluded or hollow is left alone, with what the history
    knows of it.

    A file counts as unchanged when type, size, modification time and mode are what the history has; otherwise its content
    is noted, and the history decides whether the bytes are new.
    """

    def __init__(self, layout: Layout, history: History, excluded: Callable[[bytes, bool], bool]) -> None:
        self._layout = layout
        self._tree = os.fsencode(layout.tree)
        self._history = history
        self._excluded = excluded

    def of(self, path: bytes, at: int, turn: str | None = None, since: int | None = None) -> Iterator[Found]:
        """What differs at and below a path. `at` is when that was found, in milliseconds since 1970. Of files whose inode changed at
        `since` (likewise) or later, the content is noted in any case: something of equal size and time may have been renamed there,
        or the time been set back, but nobody sets the time of change.
        """
        return _Run(self._tree, self._history, self._excluded, at, turn, self._may_be_hollow(), since).of(path)

    def _may_be_hollow(self) -> bool:
        return (self._layout.root / "hollow").exists()


class _Run:
    """One comparison. New entries come after all that was known, so that a new name of a known file is seen as a link."""

    def __init__(
        self,
        tree: bytes,
        history: History,
        excluded: Callable[[bytes, bool], bool],
        at: int,
        turn: str | None,
        may_be_hollow: bool,
        since: int | None,
    ) -> None:
        self._suspect_ns = _NEVER_NS if since is None else since * 1_000_000
        self._history = history
        self._excluded = excluded
        self._at = at
        self._turn = turn
        self._may_be_hollow = may_be_hollow
        self._linked: dict[int, bytes] = {}
        self._added: list[tuple[bytes, os.stat_result]] = []
        self._walking = reaching.Walking(tree)

    def of(self, path: bytes) -> Iterator[Found]:
        try:
            yield from self._compare(path)
            for added, seen in self._added:
                yield from self._new(added, seen)
        finally:
            self._walking.close()

    def _compare(self, path: bytes) -> Iterator[Found]:
        if path:
            known = self._history.lookup(path)
            try:
                seen = os.lstat(self._place(path))
            except OSError:
                seen = None
            if seen is not None and self._excluded(path, stat.S_ISDIR(seen.st_mode)):
                return
            yield from self._one(path, known, seen)
            if known is None or seen is None or not _are_directories(known, seen):
                return
        if self._may_be_hollow and self._is_hollow(path):
            return
        pending = [path]
        while pending:
            yield from self._directory(pending.pop(), pending)

    def _directory(self, path: bytes, pending: list[bytes]) -> Iterator[Found]:
        """Compares what a directory holds; puts those of its directories that are to be looked into on `pending`."""
        try:
            known = {entry.name: entry.version for entry in self._history.entries(path)}
            directory = self._walking.directory(path)
        except (FileNotFoundError, NotADirectoryError, FileNotFoundInHistoryError):
            return  # gone meanwhile: what took it away is noted
        with os.scandir(directory) as listing:
            for here in listing:
                name = os.fsencode(here.name)
                inside = path + b"/" + name if path else name
                version = known.pop(name, None)
                try:
                    seen = here.stat(follow_symlinks=False)
                except OSError:
                    continue
                if version is not None and self._is_same_file(inside, version, seen):
                    continue
                if self._excluded(inside, seen.st_mode & TYPE_MASK == DIRECTORY):
                    continue
                yield from self._one(inside, version, seen)
                if version is None or not _are_directories(version, seen):
                    continue
                if not (self._may_be_hollow and self._is_hollow(inside)):
                    pending.append(inside)
        for name in known:
            yield self._gone(joined(path, name))

    def _is_same_file(self, path: bytes, known: Version, seen: os.stat_result) -> bool:
        """Whether this is a regular file without a change: what most entries are, told by the fewest questions."""
        return (
            known.mode == seen.st_mode
            and known.mtime_ns == seen.st_mtime_ns
            and known.size == seen.st_size
            and seen.st_ctime_ns < self._suspect_ns
            and seen.st_nlink == 1
            and known.mode & TYPE_MASK == REGULAR
            and self._xattrs(path) == (known.xattrs or {})
        )

    def _one(self, path: bytes, known: Version | None, seen: os.stat_result | None) -> Iterator[Found]:
        """What differs in one entry, without what is below it."""
        if seen is None:
            if known is not None:
                yield self._gone(path)
            return
        if known is not None and (known.mode ^ seen.st_mode) & TYPE_MASK:
            yield self._gone(path)
            known = None
        if known is None:
            self._added.append((path, seen))
            return
        if seen.st_nlink > 1 and seen.st_mode & TYPE_MASK == REGULAR:
            self._linked.setdefault(seen.st_ino, path)
        if self._may_be_hollow and self._is_hollow(path):
            return
        yield from self._changed(path, known, seen)

    def _changed(self, path: bytes, known: Version, seen: os.stat_result) -> Iterator[Found]:
        kind = seen.st_mode & TYPE_MASK
        differs = known.size != seen.st_size or known.mtime_ns != seen.st_mtime_ns
        if kind == REGULAR and (differs or seen.st_ctime_ns >= self._suspect_ns):
            yield self._wrote(path, seen)
        if kind == SYMLINK:
            target = self._target(path)
            if target is not None and target != known.target:
                yield self._note(Change("symlink", path, self._at, seen.st_mode, seen.st_mtime_ns, target=target))
            return
        if known.mode != seen.st_mode:
            yield self._note(Change("attributes", path, self._at, seen.st_mode, seen.st_mtime_ns))
        xattrs = self._xattrs(path)
        if xattrs != (known.xattrs or {}):
            yield self._note(Change("xattr", path, self._at, seen.st_mode, seen.st_mtime_ns, xattrs=xattrs))

    def _gone(self, path: bytes) -> Found:
        """One deletion: with a directory goes what it held, which the history writes down one by one."""
        return self._note(Change(kind="delete", path=path, at=self._at))

    def _new(self, path: bytes, seen: os.stat_result) -> Iterator[Found]:
        """Everything at and below a path of which the history knows nothing."""
        pending = [(path, seen)]
        while pending:
            here, seen = pending.pop()
            kind = seen.st_mode & TYPE_MASK
            if kind == REGULAR:
                first = self._linked.setdefault(seen.st_ino, here) if seen.st_nlink > 1 else here
                if first == here:
                    yield self._wrote(here, seen)
                else:
                    yield self._note(Change("link", here, self._at, seen.st_mode, seen.st_mtime_ns, source=first))
                    continue
            elif kind == DIRECTORY:
                yield self._note(Change("mkdir", here, self._at, seen.st_mode, seen.st_mtime_ns))
                pending.extend(reversed(self._listed(here)))
            elif kind == SYMLINK:
                target = self._target(here)
                if target is not None:
                    yield self._note(Change("symlink", here, self._at, seen.st_mode, seen.st_mtime_ns, target=target))
                continue
            else:
                yield self._note(Change("special", here, self._at, seen.st_mode, seen.st_mtime_ns))
            if xattrs := self._xattrs(here):
                yield self._note(Change("xattr", here, self._at, seen.st_mode, seen.st_mtime_ns, xattrs=xattrs))

    def _listed(self, path: bytes) -> list[tuple[bytes, os.stat_result]]:
        found = []
        try:
            with os.scandir(self._walking.directory(path)) as listing:
                for here in listing:
                    inside = joined(path, os.fsencode(here.name))
                    try:
                        seen = here.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if not self._excluded(inside, stat.S_ISDIR(seen.st_mode)):
                        found.append((inside, seen))
        except OSError:
            return found
        return sorted(found, key=lambda pair: pair[0])

    def _wrote(self, path: bytes, seen: os.stat_result) -> WroteNote:
        return WroteNote(path, self._at, seen.st_mode, seen.st_mtime_ns, seen.st_ino, seen.st_size, self._turn)

    def _note(self, change: Change) -> ChangeNote:
        return ChangeNote(change, self._turn)

    def _target(self, path: bytes) -> bytes | None:
        try:
            return os.readlink(self._place(path))
        except OSError:
            return None  # gone meanwhile

    def _place(self, path: bytes) -> bytes:
        """What system calls that don't follow a link at the end take for a path: no link on the way is followed either.

        Raises:
            OSError: a directory on the way is gone.
        """
        here, name = self._walking.place(path)
        return b"/proc/self/fd/%d/%b" % (here, name)

    def _is_hollow(self, path: bytes) -> bool:
        try:
            os.getxattr(self._place(path), HOLLOW_XATTR, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _xattrs(self, path: bytes) -> dict[bytes, bytes]:
        try:
            return own_xattrs(self._place(path))
        except OSError:
            return {}  # gone meanwhile


def _are_directories(known: Version, seen: os.stat_result) -> bool:
    return known.mode & TYPE_MASK == DIRECTORY == seen.st_mode & TYPE_MASK


def own_xattrs(place: bytes) -> dict[bytes, bytes]:
    """The user's extended attributes of a file, without Chronicle's own; none where there can't be any."""
    try:
        names = os.listxattr(place, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return {}
        raise
    found: dict[bytes, bytes] = {}
    for name in names:
        raw = os.fsencode(name)
        if not raw.startswith(b"user.") or raw.startswith(_OWN_XATTRS):
            continue
        try:
            found[raw] = os.getxattr(place, name, follow_symlinks=False)
        except OSError:
            continue  # taken away meanwhile
    return found
