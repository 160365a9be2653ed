"""Making a tree, or a part of it, as it was at a moment. Works through any directory: the mount point, or the plain tree.

Only what differs is touched. A file is written beside and renamed over the old one, so that whoever reads sees the old content or
the new one; only files with several names are written in place, so that they stay one file. No symbolic link is followed.
An interrupted restore is completed by repeating it; what it was writing beside when it died stays there, without a history.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from chronicle import reaching
from chronicle.model.differences import same_content
from chronicle.model.errors import NotFoundError, StorageError, VersionDroppedError
from chronicle.model.iterations import Difference, Version
from chronicle.model.paths import is_within, parent_of
from chronicle.model.plans import (
    Link,
    MakeDirectory,
    MakeSpecial,
    MakeSymlink,
    Remove,
    SetMode,
    SetTimes,
    SetXattrs,
    Step,
    WriteFile,
    restore_plan,
)
from chronicle.store.faults import fault
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.worktree.marks import Owner
from chronicle.worktree.populating import ignoring, set_xattrs
from chronicle.worktree.turns import Turns
from chronicle.worktree.worktree import Worktree

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ALL: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_USER: Final = "user."
_OWN: Final = "user.chronicle."

_restores = Turns()


class Plan(NamedTuple):
    """What is to be done: paths that differ, and the steps. `shared`: files that are written in place, because they have several names."""

    paths: list[bytes]
    steps: list[Step]
    shared: frozenset[bytes]


def restore(
    history: History,
    pool: Pool,
    root: Path,
    iteration: int,
    path: bytes = b"",
    *,
    owner: Owner | None = None,
    worktree: Worktree | None = None,
) -> list[bytes]:
    """Makes what is at and below `path` as it was at `iteration`. The tree has to be as head says: wait for a barrier first.

    Returns the paths that differed, sorted. Directories above `path` that are missing are made.

    Args:
        history: says what differs between head and the moment.
        pool: has the contents.
        root: the mount point, or the working tree when no mount serves it.
        iteration: the moment.
        path: what to restore; all of it by default. Other names of the files below it are not touched.
        owner: whom new entries belong to when root restores; the owner of `root` by default.
        worktree: when `root` is the working tree itself: makes hollow entries that are in the way.

    Raises:
        IterationNotFoundError: no such moment.
        VersionDroppedError: a content was given up; nothing was changed.
        DamagedError: a content is damaged; what was done until then stays.
        StorageError: the disk refuses, or what has no history is in the way; what was done until then stays.
    """
    plan = planned(history, iteration, path)
    _refuse_missing(pool, plan)
    if plan.steps:
        with _restores.of(os.fsencode(os.path.realpath(root))):
            _Execution(pool, root, owner, worktree, plan).run()
    return plan.paths


def planned(history: History, iteration: int, path: bytes = b"") -> Plan:
    """What `restore` would do. Raises `IterationNotFoundError`."""
    head = history.head
    differences = [
        *_missing_parents(history, head, iteration, path),
        *history.differences(head, iteration, path),
    ]
    before = _links(history, (item.before for item in differences), head, iteration, path)
    after = _links(history, (item.after for item in differences), iteration, head, path)
    steps = restore_plan(differences, before_links=before, after_links=after)
    removed = {step.path for step in steps if isinstance(step, Remove)}
    shared = frozenset(
        item.path
        for item in differences
        if item.after is not None and len(after.get(item.after.node, ())) > 1 and item.path not in removed
    )
    return Plan([item.path for item in differences], steps, shared)


def _missing_parents(history: History, head: int, iteration: int, path: bytes) -> list[Difference]:
    """Directories above the path that are not there now, if the path was there at the moment."""
    found: list[Difference] = []
    if path and history.lookup(path, iteration) is not None:
        above = parent_of(path)
        while above:
            now = history.lookup(above, head)
            if now is not None and now.type == "directory":
                break
            found.append(Difference(above, now, history.lookup(above, iteration)))
            above = parent_of(above)
    return found[::-1]


def _links(
    history: History, versions: Iterable[Version | None], at: int, other: int, within: bytes
) -> dict[int, list[bytes]]:
    """Names of the files that have several at `at`: those within the path, and those that are the same at both moments."""
    files = {version.node for version in versions if version is not None and version.type != "directory"}
    found = {}
    for node, names in history.links(files, at).items():
        found[node] = [name for name in names if is_within(name, within) or _same(history, name, at, other)]
    return found


def _same(history: History, path: bytes, one: int, other: int) -> bool:
    here, there = history.lookup(path, one), history.lookup(path, other)
    return here is not None and there is not None and here.node == there.node and same_content(here, there)


def _refuse_missing(pool: Pool, plan: Plan) -> None:
    for step in plan.steps:
        if isinstance(step, WriteFile) and step.version.digest is not None and not pool.contains(step.version.digest):
            raise VersionDroppedError(step.path, step.version.iteration)


class _Execution:
    """One run over the steps."""

    def __init__(self, pool: Pool, root: Path, owner: Owner | None, worktree: Worktree | None, plan: Plan) -> None:
        self._pool = pool
        self._root_path = root
        self._worktree = worktree
        self._plan = plan
        self._owner = owner
        self._root = -1
        self._walking = reaching.Walking(root)
        self._widened: dict[bytes, int] = {}
        # A rename over it takes the old file away and puts the new one there at once.
        self._renamed_over = {step.path for step in plan.steps if isinstance(step, WriteFile | MakeSymlink)}

    def run(self) -> None:
        """Does all steps.

        Raises:
            StorageError: one can't be done.
            DamagedError, VersionDroppedError: a content can't be had.
        """
        self._root = os.open(self._root_path, reaching.STEP & ~os.O_NOFOLLOW)
        self._walking = reaching.Walking(self._root, reaching.STEP)
        try:
            self._owner = self._new_owner()
            self._prepare()
            try:
                removing = True
                for step in self._plan.steps:
                    if removing and not isinstance(step, Remove):
                        self._walking.close()  # directories that went may come again, as others
                        removing = False
                    self._do(step)
                    fault("restore.some")
            finally:
                for path, mode in self._widened.items():
                    with ignoring(errno.ENOENT, errno.ENOTDIR):
                        self._chmod(path, mode)
        finally:
            self._walking.close()
            os.close(self._root)

    def _new_owner(self) -> Owner | None:
        if os.geteuid() != 0:
            return None
        seen = os.fstat(self._root)
        owner = self._owner or (seen.st_uid, seen.st_gid)
        return None if owner == (0, 0) else owner

    def _prepare(self) -> None:
        if self._worktree is not None and self._worktree.hollow:
            for directory in sorted({parent_of(path) for path in self._plan.paths}):
                self._worktree.prepare(directory + b"/" if directory else b"")
            for path in self._plan.shared:
                with ignoring(errno.ENOENT):
                    self._worktree.fill(path)

    def _do(self, step: Step) -> None:
        try:
            self._one(step)
        except PermissionError:
            # A directory its owner made read-only: it is opened for the time of the restore.
            if not self._widen(parent_of(step.path)):
                raise StorageError(f"{_shown(step.path)} can't be restored: permission denied") from None
            try:
                self._one(step)
            except OSError as error:
                raise StorageError(f"{_shown(step.path)} can't be restored: {error.strerror}") from error
        except OSError as error:
            raise StorageError(f"{_shown(step.path)} can't be restored: {error.strerror}") from error

    def _one(self, step: Step) -> None:
        match step:
            case Remove(path, is_directory):
                self._remove(path, is_directory)
            case MakeDirectory(path):
                self._make_directory(path)
            case WriteFile(path, version):
                self._write(path, version)
            case MakeSymlink(path, target):
                with self._beside(path) as (here, name):
                    os.symlink(target, name, dir_fd=here)
                    self._give(here, name)
            case MakeSpecial(path, mode):
                with self._place(path) as (here, name), ignoring(errno.EEXIST, errno.EPERM):
                    os.mknod(name, mode, dir_fd=here)
                    self._give(here, name)
            case Link(path, source):
                self._link(path, source)
            case SetXattrs(path, xattrs):
                self._set_xattrs(path, xattrs)
            case SetMode(path, mode):
                self._widened.pop(path, None)
                self._chmod(path, mode)
            case SetTimes(path, mtime_ns):
                with self._place(path) as (here, name):
                    os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=here, follow_symlinks=False)

    def _place(self, path: bytes) -> contextlib.AbstractContextManager[tuple[int, bytes]]:
        """The directory that the path lies in, good until the next is asked for, and the name there."""
        return _Placed(self._walking, path)

    def _remove(self, path: bytes, is_directory: bool) -> None:
        if not is_directory and path in self._renamed_over:
            return
        # Somebody may have put something else there meanwhile: that is newer than this restore, and stays.
        with ignoring(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
            with self._place(path) as (here, name):
                if is_directory:
                    os.rmdir(name, dir_fd=here)
                else:
                    os.unlink(name, dir_fd=here)

    def _make_directory(self, path: bytes) -> None:
        with self._place(path) as (here, name):
            try:
                os.mkdir(name, 0o700, dir_fd=here)
            except FileExistsError:
                if not stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                    raise
            else:
                self._give(here, name)

    def _write(self, path: bytes, version: Version) -> None:
        if path in self._plan.shared and self._write_in_place(path, version):
            return
        with self._beside(path) as (here, name):
            fd = os.open(name, _NEW, 0o600, dir_fd=here)
            try:
                self._fill(fd, path, version)
                if self._owner:
                    os.fchown(fd, *self._owner)
                set_xattrs(fd, version)
                os.fchmod(fd, stat.S_IMODE(version.mode))
                os.utime(fd, ns=(version.mtime_ns, version.mtime_ns))
            finally:
                os.close(fd)
            fault("restore.beside")

    def _write_in_place(self, path: bytes, version: Version) -> bool:
        with self._place(path) as (here, name):
            try:
                with reaching.opened(here, name, _OLD, 0o600) as fd:
                    if not stat.S_ISREG(os.fstat(fd).st_mode):
                        return False
                    self._fill(fd, path, version)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO):
                    return False
                raise
        return True

    def _fill(self, fd: int, path: bytes, version: Version) -> None:
        if version.digest is None:
            return
        try:
            self._pool.copy_to(version.digest, fd)
        except NotFoundError as error:
            raise VersionDroppedError(path, version.iteration) from error

    def _link(self, path: bytes, source: bytes) -> None:
        with reaching.place(self._root, source) as (there, old), self._place(path) as (here, name):
            try:
                os.link(old, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
            except FileExistsError:
                # An interrupted restore may have made it.
                one = os.stat(old, dir_fd=there, follow_symlinks=False)
                other = os.stat(name, dir_fd=here, follow_symlinks=False)
                if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino):
                    raise

    @contextlib.contextmanager
    def _beside(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """A free name in the path's directory; what is made there is renamed to the path at the end."""
        with self._place(path) as (here, name):
            with reaching.beside(here, name) as new:
                yield here, new

    def _give(self, here: int, name: bytes) -> None:
        if self._owner:
            os.chown(name, *self._owner, dir_fd=here, follow_symlinks=False)

    def _chmod(self, path: bytes, mode: int) -> None:
        with self._opened(path) as (fd, seen):
            if not stat.S_ISLNK(seen.st_mode) and seen.st_mode != mode:
                os.chmod(reaching.by_descriptor(fd), stat.S_IMODE(mode))

    def _set_xattrs(self, path: bytes, xattrs: dict[bytes, bytes]) -> None:
        with self._opened(path) as (fd, seen):
            if stat.S_ISLNK(seen.st_mode):
                return
            place = reaching.by_descriptor(fd)
            with ignoring(errno.ENOTSUP):
                for name in os.listxattr(place):
                    if name.startswith(_USER) and not name.startswith(_OWN) and os.fsencode(name) not in xattrs:
                        os.removexattr(place, name)
                for key, value in xattrs.items():
                    os.setxattr(place, key, value)

    @contextlib.contextmanager
    def _opened(self, path: bytes) -> Iterator[tuple[int, os.stat_result]]:
        with self._place(path) as (here, name):
            fd = os.open(name, _ALL, dir_fd=here)
            try:
                yield fd, os.fstat(fd)
            finally:
                os.close(fd)

    def _widen(self, path: bytes) -> bool:
        """Lets the owner work in the directory, until the end; whether that changed anything."""
        with ignoring(errno.ENOENT, errno.ENOTDIR, errno.EPERM, errno.EACCES), self._opened(path) as (fd, seen):
            if stat.S_ISDIR(seen.st_mode) and seen.st_mode & 0o700 != 0o700:
                os.chmod(reaching.by_descriptor(fd), stat.S_IMODE(seen.st_mode) | 0o700)
                self._widened[path] = seen.st_mode
                return True
        return False


def _shown(path: bytes) -> str:
    return path.decode(errors="replace") or "the workspace itself"


class _Placed(contextlib.AbstractContextManager[tuple[int, bytes]]):
    """Asks when it is entered, so that what asking raises is the step's error."""

    def __init__(self, walking: reaching.Walking, path: bytes) -> None:
        self._walking = walking
        self._path = path

    def __enter__(self) -> tuple[int, bytes]:
        return self._walking.place(self._path)

    def __exit__(self, *error: object) -> None:
        return None
