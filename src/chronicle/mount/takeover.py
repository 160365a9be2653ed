"""What a fresh process has to know to go on serving a mount whose process died: kept in memory that outlives it.

The kernel names nodes by our numbers, and open files hold ids of backing files that the kernel gave out: both would be
lost with the process, while the mount (its `/dev/fuse` descriptor, held by a parent as well) lives on. Names are not kept:
the tree has them, and is walked.

Format of the memory file, little endian: a header of 64 bytes, then one record of 32 bytes for each slot. A node's number is
its slot in the lower 32 bits and how often the slot was used before in the upper ones, so that no number comes twice.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct("<8sIIQII")
"""Magic, generation (how many processes served before), then what INIT agreed: minor version, flags, readahead, largest write."""

_RECORD: Final = struct.Struct("<QqIIII")
"""inode (0: it has no name), lookups, backing id, opens of it, uses of the slot, whether in use."""

_MAGIC: Final = b"chrontkv"
_HEADER_BYTES: Final = 64
_RECORD_BYTES: Final = 32
_FIRST_BYTES: Final = 1 << 14
"""Room for 510 nodes, doubled when it is used up."""

_FIRST_SLOT: Final = 2


class Remembered(NamedTuple):
    """One node the kernel knows. `inode` 0: nothing in the tree is it any more."""

    node: int
    inode: int
    lookups: int
    backing: int
    backing_uses: int


class Agreed(NamedTuple):
    """What INIT agreed; minor 0: it has not happened."""

    minor: int
    flags: int
    readahead: int
    max_write: int


class TakeoverMemory:
    """The memory of one mount. `TakeoverMemory.new()` in the process that mounts; the descriptor is passed on, or inherited by
    `fork`; each process that starts to serve makes its own object of it."""

    def __init__(self, fd: int) -> None:
        """Takes over the memory behind a descriptor, which stays the caller's."""
        self.fd = fd
        self._size = os.fstat(fd).st_size
        self._map = mmap.mmap(fd, self._size)
        magic, generation, *agreed = _HEADER.unpack_from(self._map)
        if magic != _MAGIC:
            raise ValueError("this memory is of something else")
        self.agreed = Agreed(*agreed)
        self.generation: int = generation + 1
        self._write_header()
        self._free: list[int] = []
        self._next = _FIRST_SLOT
        self._scan()

    @classmethod
    def new(cls) -> "TakeoverMemory":
        """Empty memory; its descriptor is closed with `close_descriptor`."""
        fd = os.memfd_create("chronicle-takeover", os.MFD_CLOEXEC)
        os.ftruncate(fd, _FIRST_BYTES)
        os.pwrite(fd, _HEADER.pack(_MAGIC, 0, 0, 0, 0, 0), 0)
        return cls(fd)

    def successor(self) -> "TakeoverMemory":
        """The same memory, for the next process that serves."""
        return TakeoverMemory(self.fd)

    def agree(self, agreed: Agreed) -> None:
        """Keeps what INIT agreed."""
        self.agreed = agreed
        self._write_header()

    def allocate(self) -> int:
        """A number for a new node."""
        slot = self._free.pop() if self._free else self._next
        if slot == self._next:
            self._next += 1
            self._make_room(slot)
        at = _HEADER_BYTES + slot * _RECORD_BYTES
        uses: int = _RECORD.unpack_from(self._map, at)[4]
        return slot | uses << 32

    def put(self, node: int, inode: int, lookups: int, backing: int, backing_uses: int) -> None:
        """Keeps what is known of a node."""
        slot = node & 0xFFFFFFFF
        if slot >= _FIRST_SLOT:
            at = _HEADER_BYTES + slot * _RECORD_BYTES
            _RECORD.pack_into(self._map, at, inode, lookups, backing, backing_uses, node >> 32, 1)

    def clear(self, node: int) -> None:
        """The kernel knows this node no more."""
        slot = node & 0xFFFFFFFF
        at = _HEADER_BYTES + slot * _RECORD_BYTES
        _RECORD.pack_into(self._map, at, 0, 0, 0, 0, (node >> 32) + 1 & 0xFFFFFFFF, 0)
        self._free.append(slot)

    def nodes(self) -> Iterator[Remembered]:
        """All nodes that are in use."""
        for slot in range(_FIRST_SLOT, self._next):
            inode, lookups, backing, backing_uses, uses, used = _RECORD.unpack_from(
                self._map, _HEADER_BYTES + slot * _RECORD_BYTES
            )
            if used:
                yield Remembered(slot | uses << 32, inode, lookups, backing, backing_uses)

    def close(self) -> None:
        """Unmaps it; the memory lives as long as a descriptor does."""
        self._map.close()

    def close_descriptor(self) -> None:
        """Gives the descriptor back as well."""
        self.close()
        os.close(self.fd)

    def _write_header(self) -> None:
        _HEADER.pack_into(self._map, 0, _MAGIC, self.generation, *self.agreed)

    def _scan(self) -> None:
        """Finds free slots; those never used are all zeroes, at the end.

        The memory is read, not looked at through the map: what is looked at there is given pages, also where nothing was written.
        """
        written = os.pread(self.fd, self._size, 0).rstrip(b"\0")
        last = _FIRST_SLOT - 1
        free = []
        for slot in range(_FIRST_SLOT, -(-max(0, len(written) - _HEADER_BYTES) // _RECORD_BYTES)):
            *_, uses, used = _RECORD.unpack_from(self._map, _HEADER_BYTES + slot * _RECORD_BYTES)
            if used or uses:
                last = slot
            if uses and not used:
                free.append(slot)
        self._free = free
        self._next = last + 1

    def _make_room(self, slot: int) -> None:
        needed = _HEADER_BYTES + (slot + 1) * _RECORD_BYTES
        if needed > self._size:
            self._size = max(self._size * 2, needed)
            os.ftruncate(self.fd, self._size)
            self._map.close()
            self._map = mmap.mmap(self.fd, self._size)
