"""The object store port: what a bundle registry and replicas need. Implementations: memory, local directory, S3.

Keys are slash-separated paths without empty, `.` or `..` parts. An object appears whole or not at all.
"""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Protocol

import msgspec


class ObjectStoreUnavailableError(Exception):
    """The store can't be reached or written; trying again later may work."""


class ObjectDamagedError(ObjectStoreUnavailableError):
    """The stored bytes are not those that were put."""


class ObjectMissingError(KeyError):
    """There is no object under this key."""


class ObjectExistsError(Exception):
    """A conditional put found the key taken."""


class ObjectInfo(msgspec.Struct, frozen=True):
    """What is known of an object without reading it. `metadata` is what was stored with it (lower-case ASCII keys)."""

    key: str
    size: int
    metadata: dict[str, str]
    modified_at: int


class ObjectStore(Protocol):
    """Immutable objects under keys."""

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, metadata: dict[str, str] | None = None, create: bool = False
    ) -> ObjectInfo:
        """Stores what `data` yields, never holding it in memory whole. With `create`, exactly one of many racing puts wins.

        Raises:
            ObjectExistsError: `create` and the key is taken; nothing was changed.
        """
        ...

    async def head(self, key: str) -> ObjectInfo:
        """What is known of the object.

        Raises:
            ObjectMissingError: there is none.
        """
        ...

    def get(self, key: str) -> AsyncIterator[bytes]:
        """The object in chunks of at most 1 MiB. `ObjectMissingError` comes with the first chunk; `ObjectDamagedError`, where
        damage can be seen, at the latest after the last."""
        ...

    def list(self, prefix: str, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Objects whose key begins with `prefix`, by key, after the key `after`. Their metadata is not told: it is empty."""
        ...

    async def delete(self, key: str) -> None:
        """Removes the object; removing none is fine."""
        ...

    async def check(self) -> None:
        """Raises `ObjectStoreUnavailableError` when the store can't be used now."""
        ...

    async def close(self) -> None:
        """Frees what the implementation holds."""
        ...
