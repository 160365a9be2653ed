"""Reaching what lies below a directory name by name: no symbolic link is followed, so nothing outside is ever touched.

It also makes paths of any length possible: the kernel sees one name at a time.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chronicle.model.paths import BESIDE

STEP: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory on the way is opened: only passing through is needed."""

LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is opened that is worked in."""


@contextlib.contextmanager
def directory(root: Path | int, path: bytes, flags: int = STEP) -> Iterator[int]:
    """A descriptor of the directory at `path` below `root` (a directory or a descriptor of one; `b""` is itself).

    Raises:
        FileNotFoundError: a name on the way is not there.
        NotADirectoryError: a name on the way is something else, also a symbolic link.
        OSError: it can't be opened.
    """
    names = path.split(b"/") if path else []
    if isinstance(root, int):
        here = os.open(".", flags if not names else STEP, dir_fd=root)
    else:
        here = os.open(root, (flags if not names else STEP) & ~os.O_NOFOLLOW)
    try:
        for at, name in enumerate(names, 1):
            below = os.open(name, flags if at == len(names) else STEP, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


@contextlib.contextmanager
def place(root: Path | int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """A descriptor of the directory that `path` lies in, and its name there. The root is `.` in itself. Raises as `directory`."""
    parent, _, name = path.rpartition(b"/")
    with directory(root, parent) as here:
        yield here, name or b"."


@contextlib.contextmanager
def beside(here: int, name: bytes) -> Iterator[bytes]:
    """A name in the directory `here` that nobody has or can guess; what is made there is renamed to `name` at the end, or removed after
    an error. A run that dies leaves it; it has no history, and nobody but its owner removes it.
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
    there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
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
