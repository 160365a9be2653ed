"""Objects: immutable blobs under keys. Port and implementations."""

from podium.base.objects.port import (
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStore,
    ObjectStoreUnavailableError,
)

__all__ = [
    "ObjectExistsError",
    "ObjectInfo",
    "ObjectMissingError",
    "ObjectStore",
    "ObjectStoreUnavailableError",
]
