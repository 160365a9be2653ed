"""Chronicle itself as a side of a benchmark."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.chronicle.mounts import FileSystem


def mounted(*, history: bool = True, passthrough: bool = True, io_uring: bool = False) -> FileSystem:
    """A fresh workspace, mounted by the real daemon; without history everything is excluded."""

    @contextmanager
    def opened(scratch: Path) -> Iterator[Path]:
        raise NotImplementedError
        yield scratch

    return opened
