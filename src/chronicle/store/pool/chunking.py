"""Reading large content piece by piece: where a sparse file has holes, and where FastCDC cuts the rest."""

import errno
import os
from collections.abc import Iterator
from typing import Final, Protocol

import pyfastcdc

from chronicle.store.pool.manifests import CHUNK_AVERAGE, CHUNK_MAXIMUM, CHUNK_MINIMUM

SHORTEST_HOLE: Final = 1 << 20
"""Holes below this many bytes are read as zeros: they cost next to nothing, and a file full of them would fall to dust."""

_NO_HOLES: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY, errno.ESPIPE)


class Source(Protocol):
    """Content to be stored, read from front to back."""

    size: int

    def data(self) -> Iterator[tuple[int, int]]:
        """The ranges (start, end) that hold data, by rising start; what lies between is zeros."""
        ...

    def reader(self, start: int, end: int) -> "RangeReader":
        """Reads one of the ranges."""
        ...

    def present(self) -> int:
        """Where the content ends now, at most `size`."""
        ...


class RangeReader(Protocol):
    """What the cutter reads from."""

    def readinto(self, into: memoryview) -> int:
        """Fills the buffer as far as there is content, returns how far."""
        ...


class MemorySource:
    """Content in memory."""

    def __init__(self, content: memoryview) -> None:
        self.size = len(content)
        self._content = content

    def data(self) -> Iterator[tuple[int, int]]:
        """All of it."""
        yield 0, self.size

    def reader(self, start: int, end: int) -> RangeReader:
        """Reads a range."""
        return _MemoryReader(self._content[start:end])

    def present(self) -> int:
        """Memory doesn't shrink."""
        return self.size


class DescriptorSource:
    """The first `size` bytes of a file; never mapped, since a mapping of a file that is cut short kills the process."""

    def __init__(self, fd: int, size: int) -> None:
        self.size = size
        self._fd = fd

    def data(self) -> Iterator[tuple[int, int]]:
        """Its data as the file system tells (`SEEK_DATA`, `SEEK_HOLE`); all of it where that tells nothing."""
        try:
            yield from self._mapped()
        except OSError as error:
            if error.errno not in _NO_HOLES:
                raise
            yield 0, self.size

    def reader(self, start: int, end: int) -> RangeReader:
        """Reads a range by `pread`: the descriptor's position is nobody's."""
        return _DescriptorReader(self._fd, start, end)

    def present(self) -> int:
        """A file may have been cut short."""
        return min(self.size, os.fstat(self._fd).st_size)

    def _mapped(self) -> Iterator[tuple[int, int]]:
        start = _seek(self._fd, 0, os.SEEK_DATA)
        while start is not None and start < self.size:
            end = _seek(self._fd, start, os.SEEK_HOLE) or self.size
            following = _seek(self._fd, end, os.SEEK_DATA) if end < self.size else None
            while following is not None and following - end < SHORTEST_HOLE:
                end = _seek(self._fd, following, os.SEEK_HOLE) or self.size
                following = _seek(self._fd, end, os.SEEK_DATA) if end < self.size else None
            yield start, min(end, self.size)
            start = following


class Cutter:
    """Cuts content where its own bytes say so, so that an insertion moves no later boundary. Not for several threads at once."""

    def __init__(self) -> None:
        self._cdc = pyfastcdc.FastCDC(CHUNK_AVERAGE, min_size=CHUNK_MINIMUM, max_size=CHUNK_MAXIMUM)

    def chunks(self, source: Source) -> Iterator[tuple[int, memoryview]]:
        """(offset, bytes) by rising offset; the bytes are valid until the next step. Ends early where the file does."""
        for start, end in source.data():
            for chunk in self._cdc.cut_stream(source.reader(start, end)):
                yield start + chunk.offset, chunk.data


def read_exactly(fd: int, size: int, offset: int = 0) -> bytes:
    """Up to `size` bytes at `offset`; fewer only where the file ends."""
    first = os.pread(fd, size, offset)
    if len(first) == size or not first:
        return first
    parts, have = [first], len(first)
    while have < size and (part := os.pread(fd, size - have, offset + have)):
        parts.append(part)
        have += len(part)
    return b"".join(parts)


class _MemoryReader:
    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._at = 0

    def readinto(self, into: memoryview) -> int:
        part = self._content[self._at : self._at + len(into)]
        into[: len(part)] = part
        self._at += len(part)
        return len(part)


class _DescriptorReader:
    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd = fd
        self._at = start
        self._end = end

    def readinto(self, into: memoryview) -> int:
        wanted = min(len(into), self._end - self._at)
        filled = 0
        while filled < wanted and (read := os.preadv(self._fd, [into[filled:wanted]], self._at)):
            filled += read
            self._at += read
        return filled


def _seek(fd: int, offset: int, whence: int) -> int | None:
    try:
        return os.lseek(fd, offset, whence)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing of that kind follows
            return None
        raise
