"""Replicas of agents' databases outside this host: Litestream for what is written, objects for what is sealed."""

from podium.coordinator.adapters.replication.litestream import Litestream, ReplicaUnavailableError, litestream_path
from podium.coordinator.adapters.replication.place import ReplicaPlace
from podium.coordinator.adapters.replication.replicas import Live, Replica, Replicas

__all__ = [
    "Litestream",
    "Live",
    "Replica",
    "ReplicaPlace",
    "ReplicaUnavailableError",
    "Replicas",
    "litestream_path",
]
