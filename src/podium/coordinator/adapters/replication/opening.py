"""Replicas as the settings want them."""

from pathlib import Path

from podium.base.clock import SystemClock
from podium.base.objects import ObjectStore
from podium.base.objects.local import LocalObjects
from podium.base.settings import CoordinatorSettings, bucket_settings
from podium.coordinator.adapters.replication.litestream import Litestream, ReplicaUnavailableError, litestream_path
from podium.coordinator.adapters.replication.place import ReplicaPlace
from podium.coordinator.adapters.replication.replicas import Replicas


def open_replicas(settings: CoordinatorSettings) -> Replicas | None:
    """The replicas of this host's agents, not started; None when `LITESTREAM_REPLICA_URL` names no place.

    Raises:
        ReplicaUnavailableError: the place is none, or there is no Litestream here.
    """
    if settings.replica_url is None:
        return None
    program = settings.litestream or litestream_path()
    if program is None:
        raise ReplicaUnavailableError("there is no litestream here; install it, or name it by LITESTREAM")
    endpoint, region = (
        settings.s3_endpoint_only or settings.s3_endpoint,
        settings.s3_region or settings.s3_region_default,
    )
    try:
        place = ReplicaPlace.parse(settings.replica_url, endpoint=endpoint, region=region)
    except ValueError as error:
        raise ReplicaUnavailableError(f"LITESTREAM_REPLICA_URL: {error}") from None
    directory = settings.data / "litestream"
    processes = [Litestream(program, directory / str(number)) for number in range(settings.litestream_processes)]
    return Replicas(place, _objects(settings, place), settings.name, program, processes)


def _objects(settings: CoordinatorSettings, place: ReplicaPlace) -> ObjectStore:
    if place.kind == "file":
        return LocalObjects(Path(place.root) / "objects")
    from podium.base.objects.s3 import S3Objects  # the client library is large: only who needs it loads it

    return S3Objects(bucket_settings(settings, place.bucket, place.root), SystemClock(), settings.data / "uploads")
