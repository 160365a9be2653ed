"""The journal: changes in order that are not in the history yet. Append-only, a torn end is ignored.

A file `journal` begins with 16 bytes: `CHRJRNL1`, then the position of its first record (unsigned, 64 bits). Then records:
length of the payload and CRC-32 (both unsigned, 32 bits), payload. All numbers are little-endian. The checksum begins from
the low half of the record's position, so that a record counts only where it was written. A *position* is an offset that only
grows: what has been recorded is cut off by a new file whose first position is the old end. No length is zero: a hole, which a
crash of the host can leave, is no record.
"""

import contextlib
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chronicle.recording.allocating import allocate
from chronicle.store.faults import FAULT, fault

_HEADER: Final = struct.Struct("<8sQ")
_RECORD: Final = struct.Struct("<II")
_MAGIC: Final = b"CHRJRNL1"
_LOW: Final = 0xFFFFFFFF

WINDOW_BYTES: Final = 256 << 10
"""So much of the file is allocated and mapped ahead of its end: a record is then a copy in memory instead of a system call. The
zeroes behind the end are no record; `close` takes them away."""

RECORD_BYTES: Final = 128 << 20
"""Longest record; a larger length is damage. Inline contents are far smaller."""


class Journal:
    """One journal file. Appending, cutting and closing are for one thread at a time (the caller has a lock); reading is not."""

    def __init__(self, path: Path, floor: int) -> None:
        """Opens the journal or makes it.

        `floor` is the position that the history has recorded last: positions never go below it, also when the host crashed
        and the journal's end was lost.

        Raises:
            OSError: the file can't be made or read.
        """
        self._path = path
        self._faulty = FAULT in os.environ
        self._window: mmap.mmap | None = None
        self._window_from = self._window_to = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            head = os.pread(self._fd, _HEADER.size, 0)
            magic, first = _HEADER.unpack(head) if len(head) == _HEADER.size else (b"", 0)
            self.first: int = first
            self.end: int = first
            if magic == _MAGIC:
                for at, payload in self.records(self.first):
                    self.end = at + _RECORD.size + len(payload)
            if magic != _MAGIC or self.end < floor:
                self.end = max(self.end, floor)
                self._begin(self.end, b"")
            else:
                os.ftruncate(self._fd, self._offset(self.end))
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def size(self) -> int:
        """Bytes of records in the file."""
        return self.end - self.first

    def append(self, payload: bytes) -> int:
        """Writes a record and returns its position. It is in the page cache then: a crash of the process doesn't lose it.

        Raises:
            OSError: the disk is full or fails; nothing was appended.
        """
        at = self.end
        record = _RECORD.pack(len(payload), zlib.crc32(payload, at & _LOW)) + payload
        offset = _HEADER.size + at - self.first
        stop = offset + len(record)
        if stop > self._window_to and len(record) < WINDOW_BYTES // 4:
            self._open_window(offset)
        if self._window is not None and self._window_from <= offset and stop <= self._window_to:
            self._window[offset - self._window_from : stop - self._window_from] = record
        else:
            self._write(record, offset)
        self.end = at + len(record)
        if self._faulty:
            fault("journal.appended")
        return at

    def _write(self, record: bytes, offset: int) -> None:
        """Writes the record whole, or takes back what stands there of it."""
        try:
            while record:
                written = os.pwrite(self._fd, record, offset)
                record, offset = record[written:], offset + written
        except OSError:
            self._close_window()
            os.ftruncate(self._fd, self._offset(self.end))
            raise

    def _open_window(self, offset: int) -> None:
        """Maps the file from the page of `offset` on; without, where it can't be allocated: a store must never meet a full disk."""
        self._close_window()
        start = offset & -mmap.ALLOCATIONGRANULARITY
        self._window_from, self._window_to = start, start + WINDOW_BYTES  # also when it fails: not tried at each record
        with contextlib.suppress(OSError):
            allocate(self._fd, start, WINDOW_BYTES)
            self._window = mmap.mmap(self._fd, WINDOW_BYTES, offset=start)

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.close()
        self._window, self._window_from, self._window_to = None, 0, 0

    def read(self, at: int) -> bytes:
        """The payload of the record at a position that `append` returned.

        Raises:
            OSError: it can't be read, or is not what was written.
        """
        payload = self._record(at)
        if payload is None:
            raise OSError(f"{self._path}: no record at {at}")
        return payload

    def records(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Positions and payloads from `start` on, up to the end or the first record that is not whole."""
        at = start
        while (payload := self._record(at)) is not None:
            yield at, payload
            at = after(at, payload)

    def _record(self, at: int) -> bytes | None:
        head = os.pread(self._fd, _RECORD.size, self._offset(at))
        if len(head) < _RECORD.size:
            return None
        length, checksum = _RECORD.unpack(head)
        if not 0 < length <= RECORD_BYTES:
            return None
        payload = os.pread(self._fd, length, self._offset(at) + _RECORD.size)
        return payload if len(payload) == length and zlib.crc32(payload, at & _LOW) == checksum else None

    def cut(self, consumed: int) -> None:
        """Forgets the records before position `consumed`, by a new file with the rest, renamed over the old.

        Raises:
            OSError: the disk is full or fails; the journal is as before.
        """
        rest = bytearray()
        while len(rest) < self.end - consumed:
            piece = os.pread(self._fd, self.end - consumed - len(rest), self._offset(consumed) + len(rest))
            if not piece:
                raise OSError(f"{self._path}: shorter than what was appended")
            rest += piece
        fault("journal.before_truncate")
        self._begin(consumed, bytes(rest))

    def _begin(self, first: int, rest: bytes) -> None:
        beside = self._path.with_name(self._path.name + ".new")
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            whole = _HEADER.pack(_MAGIC, first) + rest
            while whole:
                whole = whole[os.write(fd, whole) :]
            os.rename(beside, self._path)
        except BaseException:
            os.close(fd)
            raise
        self._close_window()
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)
        self.first = first

    def _offset(self, position: int) -> int:
        return _HEADER.size + position - self.first

    def close(self) -> None:
        """Closes the file; again does nothing."""
        if self._fd >= 0:
            self._close_window()
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._offset(self.end))
            os.close(self._fd)
            self._fd = -1


def after(at: int, payload: bytes) -> int:
    """The position behind the record at `at`."""
    return at + _RECORD.size + len(payload)
