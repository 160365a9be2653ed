"""Reaching what lies below a directory name by name: no symbolic link is followed, so nothing outside is ever touched.

It also makes paths of any length possible: the kernel sees one name at a time. Everything in Chronicle that goes to a path of a
tree, which others may change meanwhile, goes there through this module.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from chronicle.model.paths import BESIDE

STEP: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory on the way is opened: only passing through is needed."""

LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is opened that is worked in."""

ENTRY: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
"""How an entry is opened that is to be looked at, whatever it is; a symbolic link itself."""

READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file is opened to be read. What was exchanged for a fifo keeps nobody waiting."""

STRIDE: Final = 100
"""Deep walks keep one descriptor for so many levels: few descriptors, and few steps from the nearest."""

Root = Path | bytes | int
"""A directory: its path, whose own last name may be a symbolic link, or a descriptor of it."""

BeforeStep = Callable[[int, bytes], None]
"""Called with the directory reached so far and the name that is opened in it next."""


def open_directory(root: Root, path: bytes, flags: int = STEP, before: BeforeStep | None = None) -> int:
    """A descriptor of the directory at `path` below `root` (`b""` is itself), the caller's to close. Those on the way are opened as `STEP`.

    Raises:
        FileNotFoundError: a name on the way is not there.
        NotADirectoryError: a name on the way is something else, also a symbolic link. The error's `filename` is that name.
        OSError: it can't be opened.
    """
    names = path.split(b"/") if path else []
    first = STEP if names else flags
    here = os.open(".", first, dir_fd=root) if isinstance(root, int) else os.open(root, first & ~os.O_NOFOLLOW)
    try:
        for at, name in enumerate(names, 1):
            if before is not None:
                before(here, name)
            below = os.open(name, flags if at == len(names) else STEP, dir_fd=here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def open_file(root: Root, path: bytes, flags: int = READ) -> int:
    """A descriptor of what is at `path` below `root`. Raises as `open_directory`, and `OSError` (ELOOP) when it is a symbolic link."""
    with place(root, path) as (here, name):
        return os.open(name, flags, dir_fd=here)


@contextlib.contextmanager
def directory(root: Root, path: bytes, flags: int = STEP) -> Iterator[int]:
    """`open_directory`, closed at the end."""
    here = open_directory(root, path, flags)
    try:
        yield here
    finally:
        os.close(here)


@contextlib.contextmanager
def place(root: Root, path: bytes) -> Iterator[tuple[int, bytes]]:
    """A descriptor of the directory that `path` lies in, and its name there. The root is `.` in itself. Raises as `open_directory`."""
    parent, _, name = path.rpartition(b"/")
    with directory(root, parent) as here:
        yield here, name or b"."


def look(root: Root, path: bytes) -> os.stat_result:
    """`lstat` of what is at `path` below `root`. Raises as `open_directory`."""
    with place(root, path) as (here, name):
        return os.stat(name, dir_fd=here, follow_symlinks=False)


class Walking:
    """Directories below one root for who needs many of them. The one asked for last stays open, and on the way to it one of every
    `STRIDE`: what is asked for next is reached from the nearest of them. So a walk costs a few steps for each directory, however deep.

    What stays open is what it was, also when another took its name meanwhile: after removing directories to make them anew, `close`.
    One thread at a time. In `with`, or `close` at the end.
    """

    def __init__(self, root: Root, flags: int = LIST) -> None:
        self._root = root
        self._flags = flags
        self._path = b""
        self._fd = -1
        self._held: list[tuple[bytes, int]] = []

    def directory(self, path: bytes) -> int:
        """A descriptor of the directory, good until the next call. Raises as `open_directory`."""
        if self._fd >= 0 and path == self._path:
            return self._fd
        if self._fd >= 0 and _is_below(path, self._path):
            above, here = self._path, self._fd
        else:
            while self._held and not _is_below(path, self._held[-1][0]):
                os.close(self._held.pop()[1])
            above, here = self._held[-1] if self._held else (b"", -1)
        fd = self._descend(above, here, path)
        if self._fd >= 0:
            os.close(self._fd)
        self._path, self._fd = path, fd
        return fd

    def _descend(self, above: bytes, here: int, path: bytes) -> int:
        """From the directory `above`, which `here` is open on (-1: from the root)."""
        rest = path[len(above) + bool(above) :]
        while rest.count(b"/") >= STRIDE:
            names = rest.split(b"/", STRIDE)
            rest, piece = names.pop(), b"/".join(names)
            here = open_directory(self._root if here < 0 else here, piece)
            above = above + b"/" + piece if above else piece
            self._held.append((above, here))
        return open_directory(self._root if here < 0 else here, rest, self._flags)

    def place(self, path: bytes) -> tuple[int, bytes]:
        """A descriptor of the directory that `path` lies in, good until the next call, and its name there; `b"."` for the root."""
        above, _, name = path.rpartition(b"/")
        return self.directory(above), name or b"."

    def close(self) -> None:
        """Gives back what is open; asking again opens it again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        while self._held:
            os.close(self._held.pop()[1])

    def __enter__(self) -> "Walking":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _is_below(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")


@contextlib.contextmanager
def beside(here: int, name: bytes) -> Iterator[bytes]:
    """A name in the directory `here` that nobody has or can guess; what is made there is renamed to `name` at the end, or removed after
    an error. A run that dies leaves it; it has no history, and `chronicle fsck` tells of it.
    """
    new = BESIDE + secrets.token_hex(8).encode()
    try:
        yield new
        os.rename(new, name, src_dir_fd=here, dst_dir_fd=here)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=here)
        raise


def by_descriptor(fd: int) -> str:
    """A path that names what the descriptor is open on, for calls that take no `O_PATH` descriptor."""
    return f"/proc/self/fd/{fd}"


def chmod(place: bytes | str, mode: int, *, dir_fd: int | None = None) -> None:
    """`chmod` of what is at `place` itself: the plain call would go on to what a link names, which may be anywhere on the host.

    Raises:
        OSError: EOPNOTSUPP when it is a symbolic link, which has no mode of its own.
    """
    there = os.open(place, ENTRY, dir_fd=dir_fd)
    try:
        if stat.S_ISLNK(os.fstat(there).st_mode):
            raise OSError(errno.EOPNOTSUPP, "a link has no mode of its own")
        os.chmod(by_descriptor(there), mode)
    finally:
        os.close(there)


@contextlib.contextmanager
def opened(here: int, name: bytes, flags: int, needed: int) -> Iterator[int]:
    """The entry `name` of the directory `here`, opened; while it is, its mode has the `needed` permission bits of its owner.

    Root needs none. For others the mode is widened when it must be, and is as it was afterwards (a crash leaves it widened).

    Raises:
        OSError: it can't be opened.
    """
    if os.geteuid() == 0:
        fd = os.open(name, flags, dir_fd=here)
        try:
            yield fd
        finally:
            os.close(fd)
        return
    there = os.open(name, ENTRY, dir_fd=here)
    try:
        mode = os.fstat(there).st_mode
        narrow = (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & needed != needed
        if narrow:
            os.chmod(by_descriptor(there), stat.S_IMODE(mode) | needed)
        try:
            fd = os.open(name, flags, dir_fd=here)
            try:
                yield fd
            finally:
                os.close(fd)
        finally:
            if narrow:
                os.chmod(by_descriptor(there), stat.S_IMODE(mode))
    finally:
        os.close(there)
