"""coordinator.db: the agents and instances one coordinator must know after a restart."""

from podium.coordinator.adapters.catalog.catalog import FILE, Catalog
from podium.coordinator.adapters.catalog.records import AgentEntry, InstanceEntry

__all__ = ["FILE", "AgentEntry", "Catalog", "InstanceEntry"]
