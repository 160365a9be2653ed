"""Making the entries of a directory as they were at a moment: placeholders, directories, links, special files."""

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from chronicle import reaching
from chronicle.model.iterations import Entry, Version
from chronicle.recording.comparing import HOLLOW_XATTR
from chronicle.removing import remove_tree
from chronicle.store.faults import fault
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.worktree import marks
from chronicle.worktree.linked import LinkSets
from chronicle.worktree.marks import DirectoryMark, FileMark, Owner

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL_BITS: Final = 0o7000
_READ_WRITE: Final = 0o600
_ENTER: Final = 0o700


class Populating:
    """Makes what a directory of moment `at` held, for `owner`.

    `whole`: with all contents and everything below, for file systems without extended attributes. `again`: an earlier attempt
    was interrupted, so that what is there already may be half made and is made anew; otherwise it is somebody's and is left.
    """

    def __init__(
        self, history: History, pool: Pool, links: LinkSets, at: int, owner: Owner | None, *, whole: bool, again: bool
    ) -> None:
        self._history = history
        self._pool = pool
        self._links = links
        self._at = at
        self._whole = whole
        self._again = again
        self._privileged = os.geteuid() == 0
        self._owner = owner if self._privileged and owner != (os.geteuid(), os.getegid()) else None
        self._umask = _umask()
        self._unfinished: list[tuple[bytes, Version]] = []
        self._pending: list[tuple[bytes, bytes]] = []

    def populate(self, root: int, source: bytes) -> None:
        """Makes below the directory `root` what `source`, its path at the moment, held."""
        self._pending.append((b"", source))
        while self._pending:
            path, source = self._pending.pop()
            with reaching.directory(root, path) as here:
                entries = self._history.entries(source, self._at)
                linked = self._history.links(
                    [entry.version.node for entry in entries if entry.version.type != "directory"], self._at
                )
                for entry in entries:
                    self._make(here, path, entry, linked.get(entry.version.node))
                    fault("populate.some")
        # Deepest first: what a closed directory holds has to be made before.
        for path, version in reversed(self._unfinished):
            with reaching.directory(root, path, reaching.LIST) as here:
                self._finish(here, version)

    def _make(self, here: int, path: bytes, entry: Entry, names: Sequence[bytes] | None) -> None:
        version = entry.version
        if version.type == "directory":
            self._directory(here, path, entry)
        elif names is not None:
            self._links.place(
                version.node, names, entry.path, here, lambda there, name: self._one(there, name, version)
            )
        elif not self._again or self._is_free(here, entry.name):
            with ignoring(errno.EEXIST):
                self._one(here, entry.name, version)

    def _one(self, here: int, name: bytes, version: Version) -> None:
        """Makes a file, a symbolic link or a special file where nothing is."""
        match version.type:
            case "file":
                self._file(here, name, version)
                return
            case "symlink":
                os.symlink(version.target or b"", name, dir_fd=here)
            case _:
                try:
                    os.mknod(name, version.mode, dir_fd=here)
                except PermissionError:
                    return  # a device; only root makes them
                self._set_mode(here, name, version.mode)
        if self._owner:
            os.chown(name, *self._owner, dir_fd=here, follow_symlinks=False)
        os.utime(name, ns=(version.mtime_ns, version.mtime_ns), dir_fd=here, follow_symlinks=False)

    def _file(self, here: int, name: bytes, version: Version) -> None:
        mode = stat.S_IMODE(version.mode)
        # Without privilege a mark needs a file that its owner can read and write; others get their content at once.
        at_once = self._whole or not version.size or not (self._privileged or mode & _READ_WRITE == _READ_WRITE)
        fd = os.open(name, _NEW, _READ_WRITE if at_once else mode & 0o777, dir_fd=here)
        try:
            if version.digest is not None and version.size:
                if at_once:
                    self._pool.copy_to(version.digest, fd)
                else:
                    os.setxattr(fd, HOLLOW_XATTR, marks.encode(FileMark(version.digest)))
                    os.ftruncate(fd, version.size)
            fault("populate.file")
            set_xattrs(fd, version)
            if self._owner:
                os.fchown(fd, *self._owner)
            if at_once or mode & (self._umask | _SPECIAL_BITS):
                os.fchmod(fd, mode)
            os.utime(fd, ns=(version.mtime_ns, version.mtime_ns))
        finally:
            os.close(fd)

    def _directory(self, here: int, path: bytes, entry: Entry) -> None:
        version = entry.version
        if not self._is_free(here, entry.name):
            return
        os.mkdir(entry.name, _ENTER, dir_fd=here)
        if self._whole or not (self._privileged or version.mode & _ENTER == _ENTER):
            below = path + b"/" + entry.name if path else entry.name
            self._pending.append((below, entry.path))
            self._unfinished.append((below, version))
            return
        fd = os.open(entry.name, reaching.LIST, dir_fd=here)
        try:
            owner = self._owner
            os.setxattr(fd, HOLLOW_XATTR, marks.encode(DirectoryMark(version.node, self._at, owner)))
            self._finish(fd, version)
        finally:
            os.close(fd)

    def _finish(self, fd: int, version: Version) -> None:
        """Gives a directory its attributes."""
        set_xattrs(fd, version)
        if self._owner:
            os.fchown(fd, *self._owner)
        os.fchmod(fd, stat.S_IMODE(version.mode))
        os.utime(fd, ns=(version.mtime_ns, version.mtime_ns))

    def _is_free(self, here: int, name: bytes) -> bool:
        """Whether nothing is there; what an interrupted attempt may have left is removed."""
        try:
            seen = os.stat(name, dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if not self._again:
            return False
        if stat.S_ISDIR(seen.st_mode):
            remove_tree(name, dir_fd=here)
        else:
            os.unlink(name, dir_fd=here)
        return True

    def _set_mode(self, here: int, name: bytes, mode: int) -> None:
        if mode & (self._umask | _SPECIAL_BITS):
            os.chmod(name, stat.S_IMODE(mode), dir_fd=here)


def set_xattrs(fd: int, version: Version) -> None:
    """Sets the version's extended attributes, where the file system has such."""
    for name, value in (version.xattrs or {}).items():
        with ignoring(errno.ENOTSUP, errno.EPERM):
            os.setxattr(fd, name, value)


class ignoring(contextlib.AbstractContextManager["ignoring"]):  # noqa: N801 - used as `contextlib.suppress` is
    """Suppresses `OSError`s of these numbers."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, OSError) and error.errno in self._numbers


def _umask() -> int:
    """The process's umask, read without changing it."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return 0o777
