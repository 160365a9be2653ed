"""Objects in memory: the twin that tests use; passes the same contract suite."""

from collections.abc import AsyncIterable, AsyncIterator

import msgspec

from podium.base.clock import Clock
from podium.base.objects.keys import check_key, check_metadata
from podium.base.objects.port import ObjectExistsError, ObjectInfo, ObjectMissingError

_CHUNK_BYTES = 1024 * 1024


class MemoryObjects:
    """An `ObjectStore` that forgets everything with its process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects: dict[str, tuple[ObjectInfo, bytes]] = {}

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, metadata: dict[str, str] | None = None, create: bool = False
    ) -> ObjectInfo:
        """See `ObjectStore`."""
        check_key(key)
        kept = check_metadata(metadata)
        whole = b"".join([chunk async for chunk in data])
        if create and key in self._objects:
            raise ObjectExistsError(key)
        info = ObjectInfo(key, len(whole), kept, self._clock.now_ms())
        self._objects[key] = (info, whole)
        return info

    async def head(self, key: str) -> ObjectInfo:
        """See `ObjectStore`."""
        return self._found(key)[0]

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """See `ObjectStore`."""
        whole = self._found(key)[1]
        for start in range(0, max(1, len(whole)), _CHUNK_BYTES):
            yield whole[start : start + _CHUNK_BYTES]

    async def list(self, prefix: str, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """See `ObjectStore`."""
        for key in sorted(self._objects):
            if key.startswith(prefix) and (after is None or key > after) and key in self._objects:
                yield msgspec.structs.replace(self._objects[key][0], metadata={})

    async def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        self._objects.pop(check_key(key), None)

    async def check(self) -> None:
        """See `ObjectStore`."""

    async def close(self) -> None:
        """See `ObjectStore`."""

    def _found(self, key: str) -> tuple[ObjectInfo, bytes]:
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise ObjectMissingError(key) from None
