"""Objects: immutable blobs under keys. Port and implementations."""

from podium.base.objects.port import (
    ObjectExistsError as ObjectExistsError,
    ObjectInfo as ObjectInfo,
    ObjectMissingError as ObjectMissingError,
    ObjectStore as ObjectStore,
    ObjectStoreUnavailableError as ObjectStoreUnavailableError,
)
