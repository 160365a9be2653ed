"""Objects in a directory of this host, shared by its daemons. Not for a network file system (see `files`)."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import IO, Final, ParamSpec, TypeVar

import msgspec

from podium.base.objects.files import Directory
from podium.base.objects.keys import check_key, check_metadata
from podium.base.objects.port import ObjectDamagedError, ObjectInfo, ObjectMissingError, ObjectStoreUnavailableError

CHUNK_BYTES: Final = 1024 * 1024
"""What is read, and about what is written, at once."""

_LIST_BATCH: Final = 100
_P = ParamSpec("_P")
_T = TypeVar("_T")


class LocalObjects:
    """The port over a directory. File work runs on threads; a cancelled put leaves nothing behind."""

    def __init__(self, root: Path) -> None:
        """Opens the store under `root`, made when missing; what crashed writers left there is removed.

        Raises:
            ObjectStoreUnavailableError: the directory can't be made or read.
        """
        self._directory = Directory(root)
        self._closed = False
        try:
            self._directory.prepare()
        except OSError as error:
            raise ObjectStoreUnavailableError(f"{root}: {error.strerror}") from error

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, metadata: dict[str, str] | None = None, create: bool = False
    ) -> ObjectInfo:
        """See `ObjectStore.put`."""
        check_key(key)
        kept = check_metadata(metadata)
        file = await self._run(self._directory.begin)
        try:
            await self._fill(file, data)
            return await self._run(self._directory.finish, file, key, kept, create=create)
        finally:
            # Inline and not on a thread: must also happen while being cancelled. Waits for a write under way.
            self._directory.discard(file)

    async def head(self, key: str) -> ObjectInfo:
        """See `ObjectStore.head`."""
        return await self._run(self._directory.head, key)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """See `ObjectStore.get`."""
        file, info = await self._run(self._directory.open, key)
        left = info.size
        try:
            while left > 0:
                chunk = await self._run(file.read, min(left, CHUNK_BYTES))
                if not chunk:
                    raise ObjectDamagedError(f"the object {key} is shorter than it says")
                left -= len(chunk)
                yield chunk
        finally:
            file.close()

    async def list(self, prefix: str, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        keys = await self._run(self._directory.keys, prefix, after)
        for start in range(0, len(keys), _LIST_BATCH):
            for info in await self._run(self._heads, keys[start : start + _LIST_BATCH]):
                yield info

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        await self._run(self._directory.delete, key)

    async def check(self) -> None:
        """See `ObjectStore.check`."""
        await self._run(self._directory.probe)

    async def close(self) -> None:
        """See `ObjectStore.close`."""
        self._closed = True

    async def _fill(self, file: IO[bytes], data: AsyncIterable[bytes]) -> None:
        """Writes what `data` yields, gathered so that small pieces don't cost a thread's turn each."""
        waiting = bytearray()
        async for piece in data:
            waiting += piece
            if len(waiting) >= CHUNK_BYTES:
                await self._run(file.write, bytes(waiting))
                waiting.clear()
        if waiting:
            await self._run(file.write, bytes(waiting))

    def _heads(self, keys: Sequence[str]) -> tuple[ObjectInfo, ...]:
        found = []
        for key in keys:
            try:
                found.append(msgspec.structs.replace(self._directory.head(key), metadata={}))
            except ObjectMissingError:
                continue  # removed since the directory was read
        return tuple(found)

    async def _run(self, work: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        if self._closed:
            raise ObjectStoreUnavailableError("the store is closed")
        try:
            return await asyncio.to_thread(work, *arguments, **options)
        except OSError as error:
            raise ObjectStoreUnavailableError(error.strerror or type(error).__name__) from error
