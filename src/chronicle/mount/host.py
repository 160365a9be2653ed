"""System calls that Python has no function for, by ctypes, and threads that live in the working tree."""

import ctypes
import logging
import os
import struct
from typing import Final, NamedTuple

from chronicle import reaching

_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.syscall.restype = ctypes.c_long

AT_FDCWD: Final = -100
CLONE_FS: Final = 0x200
MNT_DETACH: Final = 2
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2
FALLOC_FL_KEEP_SIZE: Final = 1

_GETDENTS64: Final = {"x86_64": 217, "aarch64": 61, "riscv64": 61}.get(os.uname().machine, 61)
"""Number of `getdents64(2)`; the newer architectures share one table."""

_ENTRY: Final = struct.Struct("<QqHB")
"""`struct linux_dirent64` without its name: inode, where the next is, length, type."""


class DirectoryEntry(NamedTuple):
    """One entry as the kernel lists it. `offset` finds the next one, also after others came and went."""

    inode: int
    offset: int
    kind: int
    name: bytes


def _checked(result: int, *names: bytes) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *names)
    return result


def rename(source: bytes, target: bytes, flags: int) -> None:
    """`renameat2(2)` with `RENAME_…` flags."""
    _checked(_libc.renameat2(AT_FDCWD, source, AT_FDCWD, target, flags), source)


def mount(source: bytes, target: bytes, kind: bytes, flags: int, data: bytes) -> None:
    """`mount(2)`."""
    _checked(_libc.mount(source, target, kind, flags, data), target)


def unmount(target: bytes, flags: int) -> None:
    """`umount2(2)`."""
    _checked(_libc.umount2(target, flags), target)


def list_directory(path: bytes, offset: int, room: int) -> list[DirectoryEntry]:
    """Entries from `offset` on (0: the first), as many as fit `room` bytes of the kernel's format; `[]` at the end.

    Offsets are those of the file system below (ext4, XFS and tmpfs keep them stable), so a listing needs no memory here and
    shows each name that stays once, whatever comes and goes meanwhile.
    A symbolic link at `path` is not followed: it is no directory (ENOTDIR).
    """
    fd = os.open(path, reaching.LIST)
    try:
        if offset:
            os.lseek(fd, offset, os.SEEK_SET)
        buffer = ctypes.create_string_buffer(max(room, 1024))
        got = _checked(_libc.syscall(_GETDENTS64, fd, buffer, len(buffer)))
        return _entries(buffer.raw[:got])
    finally:
        os.close(fd)


def _entries(raw: bytes) -> list[DirectoryEntry]:
    found = []
    at = 0
    while at < len(raw):
        inode, offset, length, kind = _ENTRY.unpack_from(raw, at)
        found.append(DirectoryEntry(inode, offset, kind, raw[at + _ENTRY.size : raw.index(b"\0", at + _ENTRY.size)]))
        at += length
    return found


def _unshare() -> None:
    """Where a container forbids even this (a seccomp filter), the whole process moves: one process serves one mount anyway."""
    try:
        _checked(_libc.unshare(CLONE_FS))
    except PermissionError:
        _log.info("threads can't have a working directory of their own here: the process has the tree's")


def enter(root_fd: int) -> None:
    """Gives the calling thread a working directory and a umask of its own: the tree, and 0."""
    _unshare()
    os.fchdir(root_fd)
    os.umask(0)


class Inside:
    """A thread whose working directory is the tree and whose umask is 0, while other threads keep theirs.

    Paths relative to the tree are as long as users' own, so no limit of path length is hit because of where a workspace
    lies; and the umask that counts is the caller's, which the kernel has applied already. `unshare(CLONE_FS)` gives the thread
    its own copy of both; the copy is put back at the end, for a thread that goes on to other things.
    """

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self._before = -1
        self._umask = 0

    def __enter__(self) -> None:
        _unshare()
        self._before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchdir(self._root_fd)
        self._umask = os.umask(0)

    def __exit__(self, *error: object) -> None:
        os.umask(self._umask)
        os.fchdir(self._before)
        os.close(self._before)
