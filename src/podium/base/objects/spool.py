"""Bodies that are too large for memory, on their way: a file without a name, mapped when it is whole."""

import asyncio
import hashlib
import mmap
import tempfile
from collections.abc import AsyncIterable
from pathlib import Path
from typing import IO, Final, NamedTuple

from podium.base.objects.port import ObjectStoreUnavailableError

_GATHERED_BYTES: Final = 1024 * 1024
"""About what is written at once, so that small pieces don't cost a thread's turn each."""


class SpooledBody(NamedTuple):
    """A whole body: its bytes, which the kernel reads from the file as they are sent, how many, and their SHA-256 in hex."""

    buffer: mmap.mmap
    size: int
    sha256: str


class Spool:
    """One body on its way; an async context manager. Its file has no name, so a crash leaves nothing."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self._most = most_bytes
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    async def __aenter__(self) -> "Spool":
        try:
            self._file = await asyncio.to_thread(self._open)
        except OSError as error:
            raise ObjectStoreUnavailableError(f"{self._directory}: {error.strerror}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        # Inline: must also happen while being cancelled. The mapping ends when whoever sends it lets go of it.
        if self._file is not None:
            self._file.close()

    async def take(self, data: AsyncIterable[bytes]) -> SpooledBody:
        """All of `data`, at least one byte.

        Raises:
            ValueError: it has more bytes than are allowed.
            ObjectStoreUnavailableError: it can't be written.
        """
        gathered = bytearray()
        async for piece in data:
            gathered += piece
            if len(gathered) >= _GATHERED_BYTES:
                await self._write(bytes(gathered))
                gathered.clear()
        await self._write(bytes(gathered))
        assert self._file is not None
        self._file.flush()
        buffer = mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ)
        return SpooledBody(buffer, self._size, self._digest.hexdigest())

    def _open(self) -> IO[bytes]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._directory)

    async def _write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._most:
            raise ValueError(f"an object that is created has at most {self._most} bytes")
        try:
            await asyncio.to_thread(self._write_now, data)
        except OSError as error:
            raise ObjectStoreUnavailableError(f"{self._directory}: {error.strerror}") from error

    def _write_now(self, data: bytes) -> None:
        assert self._file is not None
        self._digest.update(data)
        self._file.write(data)
