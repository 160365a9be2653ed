"""One file under random reads, writes, mappings, truncations and holes, against bytes in memory (in the spirit of fsx)."""

import ctypes
import mmap
import os
import random
from collections.abc import Callable

import pytest

from tests.chronicle_mounts import Mounted

LIMIT = 300_000
"""Longest file, in bytes."""

_libc = ctypes.CDLL(None, use_errno=True)


class File:
    """The file and what it should hold."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.expected = bytearray()
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def write(self, lots: random.Random) -> None:
        offset, data = lots.randrange(LIMIT // 2), lots.randbytes(lots.choice([1, 100, 4096, 20_000]))
        os.pwrite(self.descriptor, data, offset)
        self._grow(offset + len(data))
        self.expected[offset : offset + len(data)] = data

    def read(self, lots: random.Random) -> None:
        offset, size = lots.randrange(LIMIT), lots.randrange(30_000)
        assert os.pread(self.descriptor, size, offset) == self.expected[offset : offset + size]

    def store_by_mapping(self, lots: random.Random) -> None:
        if not self.expected:
            return
        with mmap.mmap(self.descriptor, len(self.expected)) as mapping:
            offset = lots.randrange(len(self.expected))
            data = lots.randbytes(min(5_000, len(self.expected) - offset))
            mapping[offset : offset + len(data)] = data
            self.expected[offset : offset + len(data)] = data

    def read_by_mapping(self, lots: random.Random) -> None:
        if self.expected:
            with mmap.mmap(self.descriptor, len(self.expected), access=mmap.ACCESS_READ) as mapping:
                assert mapping[:] == self.expected

    def truncate(self, lots: random.Random) -> None:
        size = lots.choice([0, 1, 4095, 4096, lots.randrange(LIMIT)])
        (os.truncate if lots.random() < 0.5 else _by_descriptor(self.descriptor))(self.path, size)
        del self.expected[size:]
        self._grow(size)

    def punch(self, lots: random.Random) -> None:
        if len(self.expected) < 2:
            return
        offset = lots.randrange(len(self.expected) - 1)
        size = lots.randrange(1, len(self.expected) - offset)
        if _libc.fallocate(self.descriptor, 3, ctypes.c_long(offset), ctypes.c_long(size)) == 0:
            self.expected[offset : offset + size] = bytes(size)

    def allocate(self, lots: random.Random) -> None:
        size = lots.randrange(1, LIMIT)
        os.posix_fallocate(self.descriptor, 0, size)
        self._grow(size)

    def copy_within(self, lots: random.Random) -> None:
        if len(self.expected) < 100:
            return
        size = len(self.expected) // 3
        target = len(self.expected) - size
        copied = os.copy_file_range(self.descriptor, self.descriptor, size, 0, target)
        self.expected[target : target + copied] = self.expected[:copied]

    def sync(self, lots: random.Random) -> None:
        os.fsync(self.descriptor)

    def reopen(self, lots: random.Random) -> None:
        os.close(self.descriptor)
        self.descriptor = os.open(self.path, os.O_RDWR)

    def close(self) -> None:
        os.close(self.descriptor)

    def _grow(self, size: int) -> None:
        self.expected.extend(bytes(max(0, size - len(self.expected))))


def _by_descriptor(descriptor: int) -> Callable[[str, int], None]:
    return lambda _path, size: os.ftruncate(descriptor, size)


OPERATIONS = [
    File.write, File.write, File.write, File.read, File.read, File.store_by_mapping, File.read_by_mapping, File.truncate,
    File.punch, File.allocate, File.copy_within, File.sync, File.reopen, File.reopen,
]  # fmt: skip


@pytest.mark.proves("CHR-POSIX", "CHR-EVERY-VERSION")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("passthrough", [True, False], ids=["passthrough", "through the daemon"])
def test_a_file_holds_what_was_written_and_so_does_each_closed_version(
    make_mount: Callable[..., Mounted], seed: int, passthrough: bool
) -> None:
    mounted = make_mount(passthrough=passthrough)
    lots = random.Random(seed)
    file = File(str(mounted.directory / "file"))
    for number in range(200):
        operation = lots.choice(OPERATIONS)
        operation(file, lots)
        assert os.fstat(file.descriptor).st_size == len(file.expected), (seed, number, operation.__name__)
        if operation is File.reopen:
            mounted.workspace.barrier()
            assert mounted.workspace.read(b"file", mounted.workspace.head) == file.expected, (seed, number)
    file.close()
    mounted.workspace.barrier()
    assert mounted.workspace.read(b"file", mounted.workspace.head) == file.expected
