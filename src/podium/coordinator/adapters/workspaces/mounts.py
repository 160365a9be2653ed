"""Workspaces mounted through Chronicle's supervisor, mounted again when it had to be started again, and unmounted."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection
from typing import Final, Literal

from chronicle.control.messages import Barrier, Mounted
from chronicle.daemon.client import Daemon
from chronicle.model.errors import ChronicleError, NotFoundError
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.workspaces import mounting
from podium.coordinator.adapters.workspaces.failures import problems
from podium.coordinator.adapters.workspaces.places import Places
from podium.coordinator.adapters.workspaces.presence import Presence
from podium.coordinator.adapters.workspaces.trial import Found, Wanted, tried
from podium.coordinator.adapters.workspaces.workers import Workers
from podium.wire.errors import PodiumError

_log = logging.getLogger(__name__)

MOUNT_SECONDS: Final = 40.0
"""How long mounting may take: what the daemon itself allows, and a little more to be told by it."""

UNMOUNT_SECONDS: Final = 70.0
"""The same of unmounting."""

UNMOUNT_BARRIER_SECONDS: Final = 5.0
"""How long followers wait for the last changes before an unmount, which records everything in any case."""

TRIAL_SECONDS: Final = 120.0
"""How long finding out what the host can do may take."""

PAUSE_SECONDS: Final = 0.1
PAUSE_MAX_SECONDS: Final = 10.0
"""Wait before a workspace that could not be mounted again is tried once more, doubled each time."""

Awake = Literal["off", "auto", "on"]


class Mounts:
    """Mounts and unmounts. `backend` tells which is used; `keep_awake` as of `Daemon.mount`."""

    def __init__(
        self, places: Places, workers: Workers, tasks: TaskOwner, backend: Callable[[], Wanted], keep_awake: Awake
    ) -> None:
        self._places = places
        self._workers = workers
        self._tasks = tasks
        self._backend = backend
        self._keep_awake: Awake = keep_awake
        self._daemon = Daemon(places.daemon)
        self._daemons = 0
        """How many daemons there have been before this one."""

    async def try_out(self, wanted: Wanted) -> Found:
        """What the host can do.

        Raises:
            ChronicleError, OSError: `wanted` can't be had.
            PodiumError: it takes too long.
        """
        others = os.geteuid() == 0
        return await self._workers.run(
            "", lambda: tried(self._daemon, self._places.trial, wanted, for_others=others), seconds=TRIAL_SECONDS
        )

    def has(self, presence: Presence) -> bool:
        """Whether the workspace is mounted, by the daemon that runs now."""
        return presence.mounted and presence.daemon == self._daemons

    async def mount(self, presence: Presence) -> None:
        """Mounts it and links to who serves it. Hold its lock.

        Raises:
            PodiumError: it can't be mounted; or it is, and nobody serves it yet, who is looked for on.
        """
        store, mountpoint = self._places.store(presence.agent_id), self._places.mountpoint(presence.agent_id)
        backend, awake, others, daemon = self._backend(), self._keep_awake, os.geteuid() == 0, self._daemons

        mounted: list[Mounted] = []

        def mount() -> None:
            if presence.is_stale:
                mounting.clean_at(mountpoint)
                presence.is_stale = False
            mounted.append(self._daemon.mount(store, mountpoint, backend=backend, allow_other=others, keep_awake=awake))

        with problems():
            try:
                await self._workers.run(presence.agent_id, mount, seconds=MOUNT_SECONDS, alone=True)
            except asyncio.CancelledError:
                if (
                    mounted
                ):  # who is cancelled has waited for it: what is mounted has to be known, so that it is unmounted
                    presence.mounted, presence.daemon = True, daemon
                    presence.seek()
                raise
            presence.mounted, presence.daemon = True, daemon
            await presence.link()

    async def unmount(self, presence: Presence) -> None:
        """Records everything and unmounts it. Hold its lock. What goes wrong is logged."""
        with contextlib.suppress(PodiumError, ChronicleError):  # so that followers are told all there is
            await presence.hear(await presence.ask(Barrier, int, UNMOUNT_BARRIER_SECONDS))
        presence.mounted = False
        presence.unlink()
        presence.turn_id = None
        store = self._places.store(presence.agent_id)
        try:
            done = await self._workers.run(
                presence.agent_id, lambda: self._daemon.unmount(store), seconds=UNMOUNT_SECONDS, alone=True
            )
            if done.lazy is not None:
                _log.warning("workspace_in_use", extra={"agent_id": presence.agent_id, "reason": done.lazy})
        except NotFoundError:
            return
        except (ChronicleError, PodiumError, OSError) as error:
            _log.error("not_unmounted", extra={"agent_id": presence.agent_id, "error": str(error)})

    def come_back(self, known: Collection[Presence]) -> None:
        """The supervisor died and a new one is there: what was mounted is mounted again, each workspace by itself."""
        self._daemons += 1
        mounted = [presence for presence in known if presence.mounted]
        for presence in mounted:
            presence.unlink()
            presence.is_stale = True
            if not presence.returning:
                presence.returning = True
                self._tasks.start(self._return(presence), f"mount the workspace of {presence.agent_id} again")

    async def _return(self, presence: Presence) -> None:
        """Mounts it again, however often it takes, as long as it is wanted."""
        pause = PAUSE_SECONDS
        try:
            while presence.mounted and not self.has(presence):
                try:
                    async with presence.lock:
                        if presence.mounted and not self.has(presence):
                            await self.mount(presence)
                            _log.info("mounted_again", extra={"agent_id": presence.agent_id})
                except PodiumError as error:
                    seen = {"agent_id": presence.agent_id, "error": str(error), "next_try_seconds": pause}
                    _log.error("not_mounted_again", extra=seen)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, PAUSE_MAX_SECONDS)
        finally:
            presence.returning = False

    def close(self) -> None:
        """Gives connections back."""
        self._daemon.close()
