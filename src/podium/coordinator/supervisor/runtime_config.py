"""The runtime layer of the configuration: read from discovery, followed, and told to the agents whose configuration it changes."""

import logging
from typing import TYPE_CHECKING, Any

from podium.base.discovery import DiscoveryUnavailableError
from podium.base.discovery.port import CHANNEL_CONFIG
from podium.coordinator.domain import configuration
from podium.wire.link import ConfigChanged

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)


class RuntimeConfig:
    """The layer as it was read last."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self.now: dict[str, Any] = {}

    async def follow(self) -> None:
        """Reads it again whenever it is said to have changed."""
        async for _ in self._supervisor.parts.discovery.subscribe(CHANNEL_CONFIG):
            await self.read()

    async def read(self) -> None:
        """Takes over the runtime layer as it is now, and tells the agents whose configuration it changes."""
        try:
            record = await self._supervisor.parts.discovery.config()
        except DiscoveryUnavailableError:
            _log.warning("runtime_config_unknown")
            return
        linked = [instance for instance in self._supervisor.instances.values() if instance.life.linked]
        before = {instance.facts.instance_id: instance.config() for instance in linked}
        self.now = record.config
        for instance in linked:
            after = instance.config()
            changes = configuration.differences(before[instance.facts.instance_id], after)
            if changes:
                instance.life.send_frame(ConfigChanged(changes=changes, config=after, source="runtime"))
