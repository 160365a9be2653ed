"""Objects: immutable blobs under keys. Port and implementations."""

from podium.base.objects.port import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStore,
    ObjectStoreUnavailableError,
)

__all__ = [
    "ObjectDamagedError",
    "ObjectExistsError",
    "ObjectInfo",
    "ObjectMissingError",
    "ObjectStore",
    "ObjectStoreUnavailableError",
]
