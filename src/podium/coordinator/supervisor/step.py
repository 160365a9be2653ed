"""One step of an instance: what is committed together, and what happens once it is."""

from collections.abc import Callable
from typing import Any

import msgspec

from podium.coordinator.adapters.store import Batch
from podium.wire.envelope import EventRow
from podium.wire.link import ToAgent, pack

_ENCODER = msgspec.json.Encoder()


class Step:
    """A batch of the store in the making, and the effects that wait for its commit.

    Order after the commit: `acknowledge`, then events to the audience, then `told`: what others see of the step. Where that waits
    for a replica (`showing`), it comes later. Then frames to the agent, then `after`. If the commit fails, none of them happens.
    """

    __slots__ = ("_instance_id", "acknowledge", "after", "batch", "to_agent", "told")

    def __init__(self, batch: Batch, instance_id: str) -> None:
        self.batch = batch
        self._instance_id = instance_id
        self.acknowledge: list[Callable[[], None]] = []
        self.told: list[Callable[[], None]] = []
        self.to_agent: list[bytes] = []
        self.after: list[Callable[[], None]] = []

    def event(self, event_type: str, content: bytes | msgspec.Struct | dict[str, Any], turn_id: str = "") -> EventRow:
        """Writes an event; `content` as JSON bytes, or something to encode."""
        data = content if isinstance(content, bytes) else _ENCODER.encode(content)
        return self.batch.event(event_type, data, instance_id=self._instance_id, turn_id=turn_id)

    def send(self, frame: ToAgent) -> None:
        """Sends a frame to the agent's process, if it is there by then."""
        self.to_agent.append(pack(frame))
