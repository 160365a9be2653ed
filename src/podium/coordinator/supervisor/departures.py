"""Departures: agents leave a host that is drained. Each is put to rest, all of it is brought outside, and it is nobody's then.

A coordinator without replicas can't give anything away: its agents come to rest and wait for it.
"""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from podium.base.discovery import DiscoveryUnavailableError
from podium.coordinator.supervisor.moved import NOBODY
from podium.wire.close import CloseCode
from podium.wire.errors import PodiumError

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Agents leaving at the same time, not counting those whose turns are waited for."""

OUTSIDE_SECONDS: Final = 30.0
"""How long bringing the last changes of one agent outside may take; then it stays this host's."""

RESERVE_SECONDS: Final = 10.0
"""Of the time a coordinator has to stop, this is kept for putting agents to rest and bringing them outside."""


class Departures:
    """Gives agents away."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._leaving: dict[str, asyncio.Task[None]] = {}

    async def all(self, grace: float) -> None:
        """Every agent of this host leaves; those that are awake first. Running turns have `grace` seconds. Again is fine."""
        supervisor = self._supervisor
        instances = sorted(supervisor.instances.values(), key=lambda each: not each.life.busy)
        for instance in instances:
            name = instance.facts.instance_id
            if name not in self._leaving:
                self._leaving[name] = supervisor.tasks.start(self._leave(instance, grace), f"leave {name}")
        if self._leaving:
            await asyncio.wait(set(self._leaving.values()))

    async def _leave(self, instance: "Instance", grace: float) -> None:
        try:
            await self._go(instance, grace)
        finally:
            self._leaving.pop(instance.facts.instance_id, None)

    async def _go(self, instance: "Instance", grace: float) -> None:
        if instance.birth is not None:  # whoever makes it is told to go elsewhere
            instance.birth.cancel()
            await asyncio.wait({instance.birth}, timeout=self._supervisor.parts.timings.kill)
            return
        instance.leaving = True  # the running turn may end; no other begins
        await _turn_over(instance, grace)
        async with self._at_once:
            if instance.lost or instance.is_over or instance.ending is not None:
                return
            await self._put_to_rest(instance)
            if not instance.is_over and not instance.lost:
                await self._give_away(instance)

    async def _put_to_rest(self, instance: "Instance") -> None:
        await instance.life.stop("drain")
        try:
            await self._supervisor.parts.workspaces.uploaded(instance.facts.agent_id)
        except PodiumError as error:  # it is tried again when the databases follow
            _log.warning("not_uploaded", extra={"agent_id": instance.facts.agent_id, "reason": str(error)})

    async def _give_away(self, instance: "Instance") -> None:
        supervisor, agent_id = self._supervisor, instance.facts.agent_id
        # From here to `lost` nothing is awaited: a message is in the databases that leave, or is refused.
        has_work = instance.has_work
        instance.dismiss(CloseCode.MOVING, "the agent moves to another host")
        instance.close_store()
        instance.lost = True
        if not await supervisor.replication.leave(instance, OUTSIDE_SECONDS):
            _log.error("not_given_away", extra={"agent_id": agent_id})
            return  # only this host has all of it: it stays with it
        record = msgspec.structs.replace(supervisor.records.of(instance), coordinator_id=NOBODY, has_work=has_work)
        supervisor.forget(instance)
        supervisor.asides.note(instance.facts)
        await supervisor.announcer.release(agent_id)
        await supervisor.announcer.moved(record)
        await supervisor.parts.workspaces.detach(agent_id)
        _log.info("given_away", extra={"agent_id": agent_id, "has_work": has_work})

    async def close(self) -> None:
        """Who has not left by now stays."""
        leaving = set(self._leaving.values())
        for task in leaving:
            task.cancel()
        if leaving:
            await asyncio.wait(leaving, timeout=self._supervisor.parts.timings.kill)

    async def announce_draining(self) -> None:
        """Nothing is placed here any more, as soon as discovery hears of it."""
        self._supervisor.draining = True
        with suppress(DiscoveryUnavailableError):  # the announcing loop tries again
            await self._supervisor.announcer.announce_now()


async def _turn_over(instance: "Instance", grace: float) -> None:
    """Waits for the end of the turn that runs."""
    running = instance.queue.running
    if running is None or not running.delivered or grace <= 0:
        return
    future = instance.turns.wait(running.entry.turn_id)
    try:
        await asyncio.wait({future}, timeout=grace)
    finally:
        instance.turns.forget(running.entry.turn_id, future)
        if future.done() and not future.cancelled():
            future.exception()  # seen
