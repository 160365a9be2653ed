"""Reading a noted content into the pool, and copying it away before it is changed."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from chronicle.model.errors import StorageError

WHOLE_BYTES: Final = 4 << 20
"""Files up to this size are read at once; larger ones are cut into pieces by the pool, which reads them itself."""

ATTEMPTS: Final = 3
"""How often a content is read that changes meanwhile, before what was read last is taken: a further change follows it."""

SETTLE_INLINE: Final = 1 << 20
"""Settling a larger content takes long enough to be done on a helper thread, in bytes."""

_PIECE: Final = 1 << 20
_FICLONE: Final = 0x40049409
_CANT_CLONE: Final = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM})


class Stored(Protocol):
    """Where a content is in the pool."""

    @property
    def digest(self) -> bytes:
        """BLAKE3 of the content."""

    @property
    def size(self) -> int:
        """Bytes of the content."""


class Adding(Protocol):
    """The part of a pool's batch that is needed here."""

    def add(self, data: bytes | memoryview) -> Stored:
        """Stores the bytes."""

    def add_file(self, fd: int, size: int) -> Stored:
        """Stores the first `size` bytes of a file."""


class Captured(NamedTuple):
    """A content in the pool: BLAKE3 digest, size in bytes, modification time of the file it was read from."""

    digest: bytes
    size: int
    mtime_ns: int


def store_file(fd: int, batch: Adding) -> Captured:
    """Puts the content of an open regular file into the pool.

    Time and size are compared before and after reading: a content that moved meanwhile is read again, `ATTEMPTS` times at
    most (a large one twice).

    Raises:
        OSError, StorageError: the file can't be read or the pool can't take it.
    """
    before = os.fstat(fd)
    for attempt in range(ATTEMPTS):
        large = before.st_size > WHOLE_BYTES
        last = attempt == ATTEMPTS - 1 or (large and attempt > 0)
        try:
            stored = batch.add_file(fd, before.st_size) if large else batch.add(read_whole(fd, before.st_size))
        except (OSError, StorageError):
            if last or os.fstat(fd).st_size >= before.st_size:
                raise
            before = os.fstat(fd)  # it was cut short while it was read
            continue
        now = os.fstat(fd)
        if last or (now.st_mtime_ns == before.st_mtime_ns and now.st_size == before.st_size):
            break
        before = now
    return Captured(stored.digest, stored.size, before.st_mtime_ns)


def store_bytes(content: bytes, mtime_ns: int, batch: Adding) -> Captured:
    """Puts a content into the pool that was read before."""
    stored = batch.add(content)
    return Captured(stored.digest, stored.size, mtime_ns)


def read_whole(fd: int, size: int) -> bytes:
    """The content of a file of about `size` bytes, up to its end.

    Raises:
        OSError: it can't be read.
    """
    data = os.pread(fd, size + 1, 0)
    if len(data) == size or not data:
        return data
    pieces = [data]
    at = len(data)
    while piece := os.pread(fd, _PIECE, at):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def copy_aside(fd: int, target: Path) -> None:
    """Makes `target` a copy of an open file, whole or not at all, with its modification time; shares blocks where possible.

    Raises:
        OSError: the disk is full or fails; nothing is left.
    """
    beside = target.with_name(f".{target.name}")
    out = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            seen = os.fstat(fd)
            if not _clone(fd, out):
                _copy(fd, out)
            os.utime(out, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        finally:
            os.close(out)
        os.rename(beside, target)
    except BaseException:
        os.unlink(beside)
        raise


def _clone(fd: int, out: int) -> bool:
    try:
        fcntl.ioctl(out, _FICLONE, fd)
    except OSError as error:
        if error.errno not in _CANT_CLONE:
            raise
        return False
    return True


def _copy(fd: int, out: int) -> None:
    """Copies what is not a hole, up to the end."""
    end = os.fstat(fd).st_size
    os.ftruncate(out, end)
    at = 0
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        hole = os.lseek(fd, at, os.SEEK_HOLE)
        while at < hole:
            copied = os.copy_file_range(fd, out, hole - at, at, at)
            if not copied:
                return
            at += copied
