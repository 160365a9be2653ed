"""Templates that nothing was started from for a while are ended: each holds the memory of its deployment's imports."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from podium.base.clock import Clock
from podium.coordinator.domain.ports import ProcessHost

LOOK_EVERY_SECONDS: Final = 15.0
"""How often it is looked which deployments have agents awake."""


class Templates:
    """Ends the templates of deployments without agents awake for `idle_seconds`."""

    def __init__(
        self, host: ProcessHost, clock: Clock, in_use: Callable[[], Collection[str]], idle_seconds: float
    ) -> None:
        self._host = host
        self._clock = clock
        self._in_use = in_use
        self._idle_seconds = idle_seconds
        self._used_at: dict[str, float] = {}

    def used(self, deployment_id: str) -> None:
        """The deployment's template was just started or used."""
        self._used_at[deployment_id] = self._clock.monotonic()

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Ends what was not used for long enough."""
        now = self._clock.monotonic()
        for deployment_id in self._in_use():
            self._used_at[deployment_id] = now
        cold = [name for name, used_at in self._used_at.items() if now - used_at >= self._idle_seconds]
        for deployment_id in cold:
            del self._used_at[deployment_id]
            await self._host.cool(deployment_id)
