"""Instances whose databases can't be written just now, for the disk is full: each is left alone for a while, then brought back.

Whoever is put aside is no longer among the host's instances. Its databases are closed before anybody opens them again: nobody else
brings it back, adopts it, or attaches to it meanwhile. What the catalog could not be told is told to it when it takes it.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from podium.coordinator.adapters.store import StoreError
from podium.coordinator.supervisor.facts import Facts
from podium.coordinator.supervisor.recovery import Recovery
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.status import OVER

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance
    from podium.coordinator.supervisor.supervisor import Supervisor

_log = logging.getLogger(__name__)


class Asides:
    """Puts instances aside, and brings them back."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._aside: set[str] = set()
        self._untold: dict[str, Facts] = {}
        self._telling: asyncio.Task[None] | None = None

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._aside

    def refuse(self, instance_id: str) -> None:
        """Refuses who wants an instance that is aside.

        Raises:
            PodiumError: `workspace_unavailable`: it comes back by itself.
        """
        if instance_id in self._aside:
            raise PodiumError(
                ErrorCode.WORKSPACE_UNAVAILABLE,
                "the agent's databases can't be written now",
                retry_after=self._supervisor.parts.timings.aside,
            )

    def put(self, instance: "Instance") -> None:
        """Ends the instance; it is recovered from its databases as soon as they can be used again."""
        instance.lost = True
        self._supervisor.forget(instance)
        instance_id = instance.facts.instance_id
        again = instance_id in self._aside  # its databases refused again, when it was brought back
        self._aside.add(instance_id)
        work = self._end(instance) if again else self._come_back(instance)
        self._supervisor.tasks.start(work, f"put aside {instance_id}")

    async def _end(self, instance: "Instance") -> None:
        await instance.life.end_now()
        instance.dismiss(CloseCode.TRY_LATER, "the agent's databases can't be written now")
        instance.close_store()

    async def _come_back(self, instance: "Instance") -> None:
        await self._end(instance)
        supervisor, instance_id = self._supervisor, instance.facts.instance_id
        try:
            while not supervisor.draining:
                await asyncio.sleep(supervisor.parts.timings.aside)
                entry = supervisor.parts.catalog.instance(instance_id)
                if entry is None or entry.status in OVER or instance_id in supervisor.instances:
                    return
                await Recovery(supervisor).bring_back(entry)
                if instance_id in supervisor.instances:  # else they refuse still
                    return
        finally:
            self._aside.discard(instance_id)

    # ── what the catalog is told ────────────────────────────────────────────────────────────────────────────

    def note(self, facts: Facts) -> None:
        """Writes status and rest to the catalog; if that refuses, as soon as it takes it. For what must not fail because of it: should
        the coordinator be killed before, the instance is looked into as after any crash."""
        try:
            self._supervisor.around.save(facts)
        except StoreError as error:
            _log.error("catalog_not_written", extra={"instance_id": facts.instance_id, "error": str(error)})
            self._untold[facts.instance_id] = facts
            if self._telling is None:
                self._telling = self._supervisor.tasks.start(self._tell(), "tell the catalog")

    async def _tell(self) -> None:
        try:
            while self._untold:
                await asyncio.sleep(self._supervisor.parts.timings.aside)
                self._tell_once()
        finally:
            self._telling = None

    def _tell_once(self) -> None:
        while self._untold:
            instance_id, facts = next(iter(self._untold.items()))
            here = self._supervisor.instances.get(instance_id)  # it may have been brought back, as another object
            try:
                self._supervisor.around.save(here.facts if here is not None else facts)
            except StoreError:
                return
            del self._untold[instance_id]
