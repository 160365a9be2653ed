"""Time that passes only when somebody waits."""

import asyncio

from podium.client.timing import Timing


class VirtualTime:
    """A clock whose sleeps return at once and are remembered."""

    def __init__(self, chance: float = 0.5) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.timing = Timing(lambda: self.now, self._sleep, lambda: chance)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.now += seconds
