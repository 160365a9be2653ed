"""Objects in a directory, for one host.

An object is one file under `objects/{key}.o`: a head of 8 bytes (`PODO`, then the length of the metadata as four bytes little endian),
the metadata as JSON, then the data. So metadata and data appear together. A put writes to `tmp/`, syncs, and then either
renames (replace) or links (create: the link fails when the key is taken, whoever else races, in whatever process).
The `.o` keeps a key from being the directory of another one. What a crash leaves in `tmp/` goes after an hour.
"""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from podium.base.clock import Clock, SystemClock
from podium.base.objects.keys import check_key
from podium.base.objects.port import (
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStoreUnavailableError,
)

CHUNK_BYTES: Final = 1024 * 1024
"""Largest chunk `get` yields, and about how much is written at a time."""

LEFTOVER_SECONDS: Final = 3600.0
"""A file in `tmp/` older than this belongs to nobody."""

_MAGIC: Final = b"PODO"
_HEAD_BYTES: Final = 8
_SUFFIX: Final = ".o"


class LocalObjects:
    """An `ObjectStore` in `directory`."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self._objects = directory / "objects"
        self._tmp = directory / "tmp"
        self._clock = clock or SystemClock()
        for each in (self._objects, self._tmp):
            each.mkdir(parents=True, exist_ok=True)
        self._sweep()

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, metadata: dict[str, str] | None = None, create: bool = False
    ) -> ObjectInfo:
        """See `ObjectStore`. Raises `ObjectStoreUnavailableError` when the disk refuses."""
        path = self._path(key)
        if create and path.exists():
            raise ObjectExistsError(key)
        scratch = self._tmp / uuid.uuid4().hex
        try:
            size = await self._write(scratch, data, metadata or {})
            await _on_disk(_publish, scratch, path, create)
        except FileExistsError:
            raise ObjectExistsError(key) from None
        finally:
            scratch.unlink(missing_ok=True)
        return ObjectInfo(key, size, dict(metadata or {}), self._clock.now_ms())

    async def head(self, key: str) -> ObjectInfo:
        """See `ObjectStore`."""
        with self._open(key) as (file, metadata):
            return _info(key, file, metadata)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """See `ObjectStore`."""
        with self._open(key) as (file, _):
            empty = True
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                empty = False
                yield chunk
            if empty:
                yield b""

    async def list(self, prefix: str, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """See `ObjectStore`."""
        for key in await asyncio.to_thread(lambda: sorted(self._keys(prefix))):
            if after is not None and key <= after:
                continue
            try:
                yield await self.head(key)
            except ObjectMissingError:
                continue  # deleted while we listed

    async def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self._objects:
                break
            try:
                parent.rmdir()
            except OSError:
                break  # another object lives there

    async def check(self) -> None:
        """See `ObjectStore`."""
        if not os.access(self._objects, os.W_OK):
            raise ObjectStoreUnavailableError("the directory of the object store can't be written")

    async def close(self) -> None:
        """See `ObjectStore`."""

    def _path(self, key: str) -> Path:
        return self._objects / (check_key(key) + _SUFFIX)

    def _open(self, key: str) -> "_Reading":
        try:
            return _Reading(self._path(key).open("rb"), key)
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissingError(key) from None
        except OSError as error:
            raise ObjectStoreUnavailableError(f"the object store can't be read: {error.strerror}") from error

    async def _write(self, scratch: Path, data: AsyncIterable[bytes], metadata: dict[str, str]) -> int:
        size = 0
        encoded = msgspec.json.encode(metadata)
        with scratch.open("xb") as file:
            file.write(_MAGIC + len(encoded).to_bytes(4, "little") + encoded)
            async for chunk in data:
                size += len(chunk)
                await _on_disk(file.write, chunk)
            await _on_disk(file.flush)
            await _on_disk(os.fsync, file.fileno())
        return size

    def _keys(self, prefix: str) -> Iterator[str]:
        base = self._objects / prefix.rpartition("/")[0]
        for path in base.rglob("*" + _SUFFIX):
            key = str(path.relative_to(self._objects)).removesuffix(_SUFFIX)
            if key.startswith(prefix):
                yield key

    def _sweep(self) -> None:
        old = time.time() - LEFTOVER_SECONDS  # noqa: TID251 - compared with the file system's own times
        for path in self._tmp.iterdir():
            if path.stat().st_mtime < old:
                path.unlink(missing_ok=True)


class _Reading:
    """An object being read: the file behind its head, and its metadata."""

    def __init__(self, file: IO[bytes], key: str) -> None:
        self._file = file
        head = file.read(_HEAD_BYTES)
        if head[:4] != _MAGIC:
            file.close()
            raise ObjectStoreUnavailableError(f"the object {key} is damaged")
        self._metadata = msgspec.json.decode(file.read(int.from_bytes(head[4:], "little")), type=dict[str, str])

    def __enter__(self) -> tuple[IO[bytes], dict[str, str]]:
        return self._file, self._metadata

    def __exit__(self, *_: object) -> None:
        self._file.close()


async def _on_disk(work: Callable[..., Any], *arguments: Any) -> None:
    """Does it on a thread; what the disk refuses is told as the store's own error, unlike errors of where data come from."""
    try:
        await asyncio.to_thread(work, *arguments)
    except FileExistsError:
        raise
    except OSError as error:
        raise ObjectStoreUnavailableError(f"the object store can't be written: {error.strerror}") from error


def _info(key: str, file: IO[bytes], metadata: dict[str, str]) -> ObjectInfo:
    status = os.fstat(file.fileno())
    return ObjectInfo(key, status.st_size - file.tell(), metadata, int(status.st_mtime * 1000))


def _publish(scratch: Path, path: Path, create: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if create:
        os.link(scratch, path)
    else:
        scratch.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
