"""`Worktree`: entries that are as the history says and not here yet, and how they come here."""

import contextlib
import ctypes
import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from chronicle import reaching
from chronicle.layout import Layout
from chronicle.model.errors import StorageError
from chronicle.recording.comparing import HOLLOW_XATTR
from chronicle.store.faults import fault
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.worktree import marks
from chronicle.worktree.linked import LinkSets
from chronicle.worktree.marks import DirectoryMark, FileMark, Mark, Owner
from chronicle.worktree.populating import Populating, ignoring
from chronicle.worktree.turns import Turns

_ABSENT: Final = frozenset({errno.ENODATA, errno.ENOTSUP, errno.ENOENT, errno.ENOTDIR, errno.EPERM})
_NO_FILE: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV})
_FILE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ROOT_NODE: Final = 1
_WITNESS: Final = b"with attributes"
_WRITTEN: Final = 1 | 2 | 4
"""`sync_file_range(2)`: wait before, write, wait after."""

_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


class Worktree:
    """The working tree of a workspace. Thread-safe; only the process that writes the workspace uses it.

    `hollow`: whether any entry may be hollow still. False: nothing else here need be asked.
    """

    def __init__(self, layout: Layout, history: History, pool: Pool) -> None:
        self._layout = layout
        self._tree = os.fsencode(layout.tree)
        self._history = history
        self._pool = pool
        self._sign = layout.root / "hollow"
        self._links = LinkSets(layout.root / "hollow.links")
        self._turns = Turns()
        self.hollow = self._sign.exists()

    def make_hollow(self, owner: Owner | None) -> None:
        """Makes the empty tree one that is as head says: its root is hollow. Everything in it will belong to `owner`.

        On a file system without extended attributes of users the whole tree is made at once, and the log says so.
        Repeating it after a crash is harmless, as long as nobody has worked in the tree.

        Raises:
            DamagedError, NotFoundError, StorageError: a content can't be had (only when all are made at once).
            OSError: the disk refuses.
        """
        at = self._history.head
        self._leave_sign()
        self.hollow = True
        fault("hollow.signed")
        root = self._history.lookup(b"", at)
        with reaching.directory(self._layout.tree, b"", reaching.LIST) as fd:
            if owner is not None and os.geteuid() == 0:
                os.fchown(fd, *owner)
            if root is not None and root.iteration:
                os.fchmod(fd, stat.S_IMODE(root.mode))
            try:
                os.setxattr(fd, HOLLOW_XATTR, marks.encode(DirectoryMark(_ROOT_NODE, at, owner)))
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise
                _log.info("%s can't have extended attributes: the tree is made whole at once", self._layout.tree)
                self._populating(at, owner, whole=True, again=True).populate(fd, b"")
                self._settled()
        fault("hollow.marked")

    def check_copied(self) -> None:
        """Finds out when this is a copy that was made without extended attributes: it no longer tells what is hollow from what is empty,
        and what is not here yet would count as deleted.

        Raises:
            StorageError: it is one.
        """
        if not self.hollow or not self._sign.stat().st_size:
            return
        try:
            os.getxattr(self._sign, HOLLOW_XATTR)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            raise StorageError(
                f"{self._layout.root} was copied without extended attributes, so nobody can tell which of its files are not made yet: "
                "copy it again with them (tar --xattrs, cp -a, rsync -aX), or take its files out of the history (chronicle export)"
            ) from error

    def _leave_sign(self) -> None:
        """The sign has an extended attribute itself where there can be any, and says so: a copy without them is known by it."""
        self._sign.touch(mode=0o600)
        with contextlib.suppress(OSError):
            os.setxattr(self._sign, HOLLOW_XATTR, _WITNESS)
            self._sign.write_bytes(_WITNESS)

    def is_hollow(self, path: bytes) -> bool:
        """Whether the directory has to be populated, or the file to be filled, before it is as the history says."""
        if not self.hollow:
            return False
        try:
            os.getxattr(self._tree + b"/" + path if path else self._tree, HOLLOW_XATTR, follow_symlinks=False)
        except OSError as error:
            if error.errno in _ABSENT:
                return False
            if error.errno == errno.ENAMETOOLONG:
                return self._is_marked(path)
            if error.errno == errno.EACCES:
                return True  # its owner may not read it; populate and fill look closer
            raise
        return True

    def populate(self, path: bytes) -> None:
        """Makes the entries of the directory at `path` when it is hollow; those of its files and directories are hollow then.

        Raises:
            FileNotFoundError, NotADirectoryError: no directory is at `path`.
            DamagedError, StorageError: the history can't be read.
            OSError: the disk refuses.
        """
        if self.hollow:
            self._with_directory(path)

    def fill(self, path: bytes) -> None:
        """Gives the file at `path` its content when it is hollow. Several at once for one file: one does it, all wait.

        Raises:
            FileNotFoundError, NotADirectoryError: nothing is at `path`.
            DamagedError, NotFoundError: its content is damaged or gone; the file stays hollow.
            StorageError, OSError: the disk refuses; it stays hollow.
        """
        if self.hollow:
            self._with_file(path, self._fill)

    def empty(self, path: bytes) -> None:
        """Makes the file at `path` an empty one without its content being fetched when it is hollow, as a truncating open would.

        Raises:
            FileNotFoundError, NotADirectoryError: nothing is at `path`.
        """
        if self.hollow:
            self._with_file(path, _empty)

    def prepare(self, path: bytes) -> None:
        """Populates all directories that `path` lies in, so that it is there when the history says so. For who works in the tree
        itself, beside no mount. What is missing on the way is no error.
        """
        if not self.hollow:
            return
        at = -1
        with ignoring(errno.ENOENT, errno.ENOTDIR):
            self.populate(b"")
            while (at := path.find(b"/", at + 1)) >= 0:
                self.populate(path[:at])

    def complete(self) -> None:
        """Makes everything that is hollow still. Others may work in the tree meanwhile. Raises as `populate` and `fill`.

        `hollow` is False afterwards: when two passes in a row found nothing, so that a directory moved from where a pass had
        not been to where it had been is noticed.
        """
        quiet = 0
        while self.hollow and quiet < 2:
            quiet = 0 if self._pass() else quiet + 1
        if self.hollow:
            self._settled()

    def _pass(self) -> bool:
        """Makes what is hollow below the root; whether there was anything."""
        found = False
        pending = [b""]
        while pending:
            path = pending.pop()
            with ignoring(errno.ENOENT, errno.ENOTDIR):
                if self.is_hollow(path):
                    found |= self._with_directory(path)
                for name, is_directory in self._names(path):
                    inside = path + b"/" + name if path else name
                    if is_directory:
                        pending.append(inside)
                    elif self.is_hollow(inside):
                        with ignoring(errno.ENOENT):
                            found |= self._with_file(inside, self._fill)
        return found

    def _names(self, path: bytes) -> list[tuple[bytes, bool]]:
        """Names of the directories and regular files in a directory."""
        with self._listed(path) as fd, os.scandir(fd) as listing:
            return [
                (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False))
                for entry in listing
                if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
            ]

    def _settled(self) -> None:
        """Nothing is hollow any more."""
        self._links.remove()
        self._sign.unlink(missing_ok=True)
        self.hollow = False

    def _populating(self, at: int, owner: Owner | None, *, whole: bool, again: bool) -> Populating:
        return Populating(self._history, self._pool, self._links, at, owner, whole=whole, again=again)

    def _populate(self, fd: int, mark: DirectoryMark) -> None:
        seen = os.fstat(fd)
        again = mark.mtime_ns is not None
        if mark.mtime_ns is None:
            mark = mark._replace(mtime_ns=seen.st_mtime_ns)
            os.setxattr(fd, HOLLOW_XATTR, marks.encode(mark))
        fault("populate.begun")
        source = self._history.names_of(mark.node, mark.at)
        if source:
            self._populating(mark.at, mark.owner, whole=False, again=again).populate(fd, source[0])
        fault("populate.made")
        os.utime(fd, ns=(seen.st_atime_ns, mark.mtime_ns or 0))
        fault("populate.timed")
        os.removexattr(fd, HOLLOW_XATTR)
        fault("populate.unmarked")

    def _fill(self, fd: int, mark: FileMark) -> None:
        seen = os.fstat(fd)
        if mark.mtime_ns is None:
            mark = mark._replace(mtime_ns=seen.st_mtime_ns)
            os.setxattr(fd, HOLLOW_XATTR, marks.encode(mark))
        fault("fill.begun")
        self._pool.copy_to(mark.digest, fd)
        fault("fill.written")
        # A host that crashes must not find the mark gone and the bytes not yet here.
        _write_out(fd)
        if os.fstat(fd).st_mode != seen.st_mode:
            os.fchmod(fd, stat.S_IMODE(seen.st_mode))  # writing took the set-user-id bit
        os.utime(fd, ns=(seen.st_atime_ns, mark.mtime_ns or 0))
        fault("fill.timed")
        os.removexattr(fd, HOLLOW_XATTR)
        fault("fill.unmarked")

    def _with_directory(self, path: bytes) -> bool:
        """Populates the directory, alone, when it is hollow; whether it was."""
        with self._listed(path) as fd:
            if _mark_of(fd) is None:
                return False
            with self._turns.of(os.fstat(fd).st_ino):
                mark = _mark_of(fd)
                if isinstance(mark, DirectoryMark):
                    self._populate(fd, mark)
        return True

    def _with_file(self, path: bytes, work: Callable[[int, FileMark], None]) -> bool:
        """Does something about the file at `path`, alone, when it is hollow; whether it was."""
        try:
            with (
                reaching.place(self._layout.tree, path) as (here, name),
                reaching.opened(here, name, _FILE, 0o600) as fd,
            ):
                if _mark_of(fd) is None:
                    return False
                with self._turns.of(os.fstat(fd).st_ino):
                    mark = _mark_of(fd)
                    if isinstance(mark, FileMark):
                        work(fd, mark)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            return False
        return True

    def _is_marked(self, path: bytes) -> bool:
        with reaching.place(self._layout.tree, path) as (here, name):
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            try:
                return _mark_of(reaching.by_descriptor(fd)) is not None
            finally:
                os.close(fd)

    @contextlib.contextmanager
    def _listed(self, path: bytes) -> Iterator[int]:
        with reaching.place(self._layout.tree, path) as (here, name):
            with reaching.opened(here, name, reaching.LIST, 0o700) as fd:
                yield fd


def _mark_of(what: int | str) -> Mark | None:
    try:
        return marks.decode(os.getxattr(what, HOLLOW_XATTR))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def _empty(fd: int, _mark: FileMark) -> None:
    os.ftruncate(fd, 0)
    fault("empty.truncated")
    os.removexattr(fd, HOLLOW_XATTR)


def _write_out(fd: int) -> None:
    """Waits until the file's data are with the device. File systems put them before what is changed about the file afterwards."""
    if _libc.sync_file_range(fd, 0, 0, _WRITTEN) != 0:
        os.fdatasync(fd)
