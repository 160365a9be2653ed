"""Putting and removing through a directory that shows the workspace: the mount point, or the working tree when nobody serves it.

Every path is walked name by name and no symbolic link is followed, so that nothing outside can be reached, whatever others
do to the tree meanwhile.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chronicle import reaching
from chronicle.model.errors import FileNotFoundInHistoryError, InvalidInputError, InvalidPathError
from chronicle.model.paths import MAGIC, joined, name_of, parent_of
from chronicle.removing import remove_tree

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE_MODE: Final = 0o644
NEW_DIRECTORY_MODE: Final = 0o755
_PIECE: Final = 1024 * 1024


@contextlib.contextmanager
def directory(root: Path, path: bytes, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the directory at `path` below `root`, made with its parents when `make`.

    Raises:
        InvalidPathError: a component is a symbolic link or no directory.
        FileNotFoundInHistoryError: a component is not there.
        OSError: the disk refuses.
    """
    try:
        here = reaching.open_directory(root, path, reaching.LIST, _make_missing if make else None)
    except FileNotFoundError:
        raise FileNotFoundInHistoryError(path, None) from None
    except (NotADirectoryError, PermissionError) as error:
        if make and isinstance(error, PermissionError):
            raise  # the disk refuses to make one, or to let us in
        name = os.fsencode(error.filename or b"").decode(errors="replace")
        raise InvalidPathError(path, f"{name} is not a directory") from error
    try:
        yield here
    finally:
        os.close(here)


def _make_missing(here: int, name: bytes) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, NEW_DIRECTORY_MODE, dir_fd=here)
        _give(name, here, os.fstat(here))


def _give(name: bytes, here: int, parent: os.stat_result) -> None:
    """What root makes belongs to whom the directory belongs, as if they had made it."""
    if os.geteuid() == 0 and (parent.st_uid, parent.st_gid) != (0, 0):
        os.chown(name, parent.st_uid, parent.st_gid, dir_fd=here, follow_symlinks=False)


def put(root: Path, path: bytes, source: int, mode: int | None) -> None:
    """Writes what descriptor `source` reads from offset 0 to `path`, in place, making parent directories.

    `mode` has permission bits; None keeps those there are. What is at `path` must be a regular file or nothing.

    Raises:
        InvalidPathError: something else is there, or a parent is no directory.
        OSError: the disk refuses.
    """
    if not path:
        raise InvalidPathError(path, "it is the workspace itself")
    with directory(root, parent_of(path), make=True) as parent:
        target = _open_for_writing(parent, path, mode)
        try:
            before = os.fstat(target)
            _copy(source, target)
            if mode is not None and stat.S_IMODE(before.st_mode) != mode:
                os.fchmod(target, mode)
        finally:
            os.close(target)


def _open_for_writing(parent: int, path: bytes, mode: int | None) -> int:
    name = name_of(path)
    while True:
        with contextlib.suppress(FileNotFoundError):
            return _emptied(parent, name, path)
        with contextlib.suppress(FileExistsError):  # made meanwhile: it is looked at again
            made = os.open(name, _NEW_FILE, NEW_FILE_MODE if mode is None else mode, dir_fd=parent)
            _give(name, parent, os.fstat(parent))
            return made


def _emptied(parent: int, name: bytes, path: bytes) -> int:
    """The file that is there, without content. What is opened is what was looked at, whatever the name means by then: opening a fifo
    would wait for a reader.
    """
    there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(there).st_mode):
            raise InvalidPathError(path, "what is there is not a regular file")
        return os.open(reaching.by_descriptor(there), os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    finally:
        os.close(there)


@contextlib.contextmanager
def source(path: str | Path) -> Iterator[int]:
    """A descriptor of the regular file that `put` copies.

    Raises:
        InvalidInputError: it is something else, which might never end, or never begin.
        OSError: it can't be opened.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise InvalidInputError(f"{path} is not a regular file")
        yield opened
    finally:
        os.close(opened)


def _copy(source: int, target: int) -> None:
    position = 0
    while piece := os.pread(source, _PIECE, position):
        position += len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(target, rest) :]


def remove(root: Path, path: bytes) -> None:
    """Removes what is at `path`; a directory goes with all it holds.

    Raises:
        FileNotFoundInHistoryError: nothing is there.
    """
    if not path:
        raise InvalidPathError(path, "it is the workspace itself")
    with directory(root, parent_of(path)) as parent:
        name = name_of(path)
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise FileNotFoundInHistoryError(path, None) from None
        if stat.S_ISDIR(there.st_mode):
            remove_tree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)


def paths_below(root: Path, path: bytes) -> Iterator[bytes]:
    """`path` and everything below it in the tree, parents first."""
    yield path
    with reaching.Walking(root) as walking:
        stack = [path]
        while stack:
            here = stack.pop()
            try:
                with os.scandir(walking.directory(here)) as listing:
                    found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in listing]
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name, is_directory in found:
                if not here and name == MAGIC:
                    continue
                below = joined(here, name)
                yield below
                if is_directory:
                    stack.append(below)
