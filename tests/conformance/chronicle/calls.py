"""System calls as a conformance test makes them: each answers with a value that can be compared, or the name of its errno."""

import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)

AT_FDCWD = -100
NOREPLACE, EXCHANGE = 1, 2
PUNCH_KEEP_SIZE = 3

Call = Callable[[bytes], object]
PairCall = Callable[[bytes, bytes], object]


def outcome(call: Callable[[], object]) -> object:
    """What the call answers, or the name of its error."""
    try:
        return call()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))


def _opened(flags: int, then: Callable[[int], object] = lambda _: "opened") -> Call:
    def call(path: bytes) -> object:
        descriptor = os.open(path, flags | os.O_NONBLOCK, 0o640)
        try:
            return then(descriptor)
        finally:
            os.close(descriptor)

    return call


def _renamed(flags: int) -> PairCall:
    def call(old: bytes, new: bytes) -> object:
        if _libc.renameat2(AT_FDCWD, old, AT_FDCWD, new, flags):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return "renamed"

    return call


def _allocated(mode: int, offset: int, length: int) -> Callable[[int], object]:
    def call(descriptor: int) -> object:
        if _libc.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(length)):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return os.fstat(descriptor).st_size

    return call


def _attributes(path: bytes) -> object:
    facts = os.lstat(path)
    return (
        stat.S_IFMT(facts.st_mode),
        stat.S_IMODE(facts.st_mode),
        facts.st_size if not stat.S_ISDIR(facts.st_mode) else 0,
    )


def _listed(path: bytes) -> object:
    return sorted(os.listdir(path))


def _extended(path: bytes) -> object:
    os.setxattr(path, b"user.colour", b"red")
    os.setxattr(path, b"user.colour", b"blue", os.XATTR_REPLACE)
    seen = os.getxattr(path, b"user.colour"), sorted(os.listxattr(path))
    os.removexattr(path, b"user.colour")
    return seen, outcome(lambda: os.getxattr(path, b"user.colour"))


def _locked(descriptor: int) -> object:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return "locked"


def _appended(descriptor: int) -> object:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.write(descriptor, b"+tail"), os.fstat(descriptor).st_size


def _tail(descriptor: int) -> object:
    os.ftruncate(descriptor, 100_000)
    os.pwrite(descriptor, b"x", 99_999)
    return os.lseek(descriptor, 0, os.SEEK_DATA) >= 0, os.lseek(descriptor, 0, os.SEEK_END)


def _synced(descriptor: int) -> object:
    written = os.write(descriptor, b"s")
    os.fsync(descriptor)
    os.fdatasync(descriptor)
    return written


def _times_set(path: bytes) -> object:
    os.utime(path, ns=(1_500_000_001, 1_600_000_002))
    return os.stat(path).st_mtime_ns


def _link_times_set(path: bytes) -> object:
    os.utime(path, ns=(7, 8), follow_symlinks=False)
    return os.lstat(path).st_mtime_ns


def _entered(path: bytes) -> object:
    os.chdir(path)
    os.chdir(b"/")
    return "entered"


ONE_PATH: dict[str, Call] = {
    "lstat": _attributes,
    "stat": lambda path: stat.S_IFMT(os.stat(path).st_mode),
    "access for reading": lambda path: os.access(path, os.R_OK, effective_ids=True),
    "access for writing": lambda path: os.access(path, os.W_OK, effective_ids=True),
    "access for running": lambda path: os.access(path, os.X_OK, effective_ids=True),
    "open for reading": _opened(os.O_RDONLY, lambda descriptor: os.fstat(descriptor).st_size and "something"),
    "read": _opened(os.O_RDONLY, lambda descriptor: os.read(descriptor, 100)),
    "open for writing": _opened(os.O_WRONLY, lambda descriptor: os.write(descriptor, b"NEW")),
    "open for both": _opened(
        os.O_RDWR, lambda descriptor: (os.pread(descriptor, 3, 0), os.pwrite(descriptor, b"NEW", 1))
    ),
    "append": _opened(os.O_WRONLY | os.O_APPEND, _appended),
    "create": _opened(os.O_WRONLY | os.O_CREAT, lambda descriptor: os.write(descriptor, b"NEW")),
    "create exclusively": _opened(
        os.O_WRONLY | os.O_CREAT | os.O_EXCL, lambda descriptor: os.write(descriptor, b"NEW")
    ),
    "create anew": _opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC, lambda descriptor: os.fstat(descriptor).st_size),
    "open a directory": _opened(os.O_RDONLY | os.O_DIRECTORY),
    "open without following": _opened(os.O_RDONLY | os.O_NOFOLLOW),
    "open as a path": _opened(os.O_PATH),
    "nameless file": _opened(
        os.O_RDWR | os.O_TMPFILE, lambda descriptor: (os.write(descriptor, b"x"), os.fstat(descriptor).st_nlink)
    ),
    "sync": _opened(os.O_RDWR, _synced),
    "lock": _opened(os.O_RDWR, _locked),
    "make sparse": _opened(os.O_RDWR, _tail),
    "allocate": _opened(os.O_RDWR, _allocated(0, 0, 9_000)),
    "punch": _opened(os.O_RDWR, _allocated(PUNCH_KEEP_SIZE, 0, 4)),
    "truncate to nothing": lambda path: os.truncate(path, 0),
    "truncate to more": lambda path: os.truncate(path, 5_000),
    "truncate below zero": lambda path: os.truncate(path, -1),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "mkdir": lambda path: os.mkdir(path, 0o751),
    "mkdir with set-gid": lambda path: os.mkdir(path, 0o2777),
    "mkfifo": lambda path: os.mkfifo(path, 0o611),
    "mknod": lambda path: os.mknod(path, stat.S_IFREG | 0o631),
    "symlink": lambda path: os.symlink(b"to/nowhere", path),
    "symlink to too much": lambda path: os.symlink(b"x" * 4096, path),
    "readlink": os.readlink,
    "list": _listed,
    "chmod": lambda path: os.chmod(path, 0o4711),
    "lchown to oneself": lambda path: os.lchown(path, os.geteuid(), os.getegid()),
    "chown away": lambda path: os.chown(path, 64_003, -1),
    "chgrp away": lambda path: os.chown(path, -1, 64_003),
    "touch": lambda path: os.utime(path),
    "set times": _times_set,
    "set a link's times": _link_times_set,
    "xattr": _extended,
    "statvfs": lambda path: os.statvfs(path).f_namemax,
    "chdir": _entered,
}

TWO_PATHS: dict[str, PairCall] = {
    "rename": os.rename,
    "rename without replacing": _renamed(NOREPLACE),
    "exchange": _renamed(EXCHANGE),
    "rename with unknown flags": _renamed(1 << 20),
    "link": lambda old, new: os.link(old, new, follow_symlinks=False),
    "link to what a link names": lambda old, new: os.link(old, new, follow_symlinks=True),
}
