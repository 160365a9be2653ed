"""Which moment of an agent is meant, and where its databases are found, alive or not."""

import asyncio
from typing import TYPE_CHECKING, Final

from podium.coordinator.adapters.store import AgentStore, Moment, StoreBusyError, StoreClosedError
from podium.coordinator.supervisor.instance import Instance
from podium.wire import moments as wire
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.status import OVER

if TYPE_CHECKING:
    from podium.coordinator.supervisor.supervisor import Supervisor

SEAL_TRIES: Final = 200
"""How often sealing is tried while upkeep or another program has the databases …"""

SEAL_PAUSE_SECONDS: Final = 0.02
"""… and how long it waits between."""


def resident(supervisor: "Supervisor", agent_id: str, tenant_id: str | None) -> Instance:
    """The agent's instance on this host; for an agent without one alive, its last, for reading.

    Raises:
        PodiumError: `agent_not_found`; `workspace_unavailable` when its instance is put aside just now.
    """
    catalog = supervisor.parts.catalog
    agent = catalog.agent(agent_id)
    if agent is None or (tenant_id is not None and agent.tenant_id != tenant_id) or agent_id in supervisor.removals:
        raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "there is no such agent on this host")
    instance = supervisor.of_agent(agent_id)
    if instance is not None:
        return instance
    entries = catalog.instances(agent_id)
    if not entries:
        raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "the agent is not on this host")
    if entries[-1].status not in OVER:
        raise PodiumError(ErrorCode.WORKSPACE_UNAVAILABLE, "the agent can't be used now", retry_after=1.0)
    return Instance(supervisor.records.facts(entries[-1], secret=False), supervisor.around)


async def find(instance: Instance, at: wire.MomentRef | None) -> Moment:
    """The moment `at` means: the end of a turn, the newest moment not after an event, or now.

    Raises:
        PodiumError: `turn_not_found` when there is no such moment; `busy` when the turn has not ended.
    """
    if at is None:
        return await _now(instance)
    with instance.reading() as store:
        if isinstance(at, int):
            found = store.moments.at(at) if at <= store.head_seq else None
            if found is None:
                raise PodiumError(
                    ErrorCode.TURN_NOT_FOUND,
                    f"no turn had ended at event {at}; the newest event is {store.head_seq}",
                )
            return found
        found = store.moments.of_turn(at)
        if found is None:
            row = store.turn(at)
            if row is not None and row.state in {"queued", "running"}:
                raise PodiumError(ErrorCode.BUSY, "this turn has not ended yet")
            raise PodiumError(ErrorCode.TURN_NOT_FOUND, "the agent has no such turn")
        return found


async def _now(instance: Instance) -> Moment:
    iteration = await newest_iteration(instance)
    with instance.reading() as store:
        busy = bool(store.inbox_open())
        if not busy and store.moments.pending() is None:
            return Moment(store.head_seq, store.state_version, iteration)
        ended = store.moments.at(store.head_seq)
    if ended is None:
        raise PodiumError(ErrorCode.BUSY, "the agent's first turn has not ended yet", retry_after=1.0)
    return ended


async def newest_iteration(instance: Instance) -> int:
    """The iteration everything that was changed until now is recorded by; 0 without a history."""
    workspaces = instance.around.workspaces
    return await workspaces.barrier(instance.facts.agent_id) if workspaces.backend != "directory" else 0


async def sealed(instance: Instance, moment: Moment) -> None:
    """Everything up to the moment lies in sealed files on return. The instance isn't disturbed but for some syncs to disk.

    Raises:
        PodiumError: `agent_timeout`: another program keeps the databases open.
    """
    for _ in range(SEAL_TRIES):
        with instance.reading() as store:
            if store.is_sealed(moment.seq, moment.state_version) or await _seal(store):
                return
        await asyncio.sleep(SEAL_PAUSE_SECONDS)
    raise PodiumError(ErrorCode.AGENT_TIMEOUT, "another program reads the agent's databases", retry_after=1.0)


async def _seal(store: AgentStore) -> bool:
    try:
        await asyncio.to_thread(store.checkpoint_files)
        store.seal()
    except (StoreBusyError, StoreClosedError):
        return False
    return True


def shown(moment: Moment) -> wire.Moment:
    """A moment as REST shows it."""
    if moment.turn_id:
        return wire.Moment(moment.seq, moment.state_version, moment.iteration, "turn", moment.turn_id)
    return wire.Moment(moment.seq, moment.state_version, moment.iteration, "now")
