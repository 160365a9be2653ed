"""Files that clients write or read: outside this host as soon as what agents write; with `sync`, before anybody hears of them.

While the databases of an agent are open, its workspace's history is replicated with them. A client may write also while they are
closed: then they are attached once more, until that is outside.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import ANSWER_SECONDS
from podium.wire.errors import ErrorCode, PodiumError

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor


class OutsideFiles:
    """Sees to it that files are outside. Without replicas, and without histories, it does nothing."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    @asynccontextmanager
    async def changing(self, agent_id: str) -> AsyncIterator[None]:
        """Within the block files of the agent are changed; they are brought outside then."""
        replication = self._supervisor.replication
        instance = self._instance(agent_id)
        if instance is not None:
            replication.touched(instance)  # should the coordinator be killed in between, it looks when it is back
        try:
            yield
        finally:
            if instance is not None:
                replication.owe(self._supervisor.of_agent(agent_id) or instance)

    def waits(self, agent_id: str) -> bool:
        """Whether files of the agent may be shown only when they are outside."""
        instance = self._supervisor.of_agent(agent_id)
        return (
            instance is not None and self._has_replicas() and instance.showing is not None and instance.showing.is_sync
        )

    async def shown(self, agent_id: str, head: int) -> None:
        """Returns when the agent's files as they were at iteration `head` may be shown.

        Raises:
            PodiumError: `workspace_unavailable`: the replica is away; `draining`: another host may have gone on without them.
        """
        instance = self._supervisor.of_agent(agent_id)
        if instance is None or not self.waits(agent_id) or head <= instance.files.outside:
            return
        try:
            await self._supervisor.replication.whole(agent_id, ANSWER_SECONDS)
        except ReplicaUnavailableError as error:
            raise PodiumError(
                ErrorCode.WORKSPACE_UNAVAILABLE, "the agent's replica is away; ask again in a moment", retry_after=1.0
            ) from error
        if instance.lost or not instance.around.may_write():
            raise PodiumError(ErrorCode.DRAINING, "the agent is between hosts", retry_after=1.0)
        instance.files.outside = max(head, instance.files.outside)

    def _has_replicas(self) -> bool:
        parts = self._supervisor.parts
        return parts.replicas is not None and parts.workspaces.backend != "directory"

    def _instance(self, agent_id: str) -> Instance | None:
        """The agent's instance, or its last."""
        if not self._has_replicas():
            return None
        instance = self._supervisor.of_agent(agent_id)
        if instance is not None:
            return instance
        entries = self._supervisor.parts.catalog.instances(agent_id)
        if not entries:
            return None
        return Instance(self._supervisor.records.facts(entries[-1], secret=False), self._supervisor.around)
