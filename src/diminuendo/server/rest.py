"""What is served over HTTP besides WebSockets: health and metrics."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from podium import __version__
from podium.base.clock import Clock
from podium.base.http import NOBODY, PUBLIC, Access, Answer, Call, Endpoint, HttpApp, Identity, Media, counting
from podium.base.metrics import CONTENT_TYPE, Metrics
from podium.client import PodiumClient

TAG: Final = "platform"

PROBE_KEPT_SECONDS: Final = 2.0
"""How long what was found out about Podium is told again: whoever asks often must not make us ask as often."""


class PodiumHealth(msgspec.Struct, frozen=True):
    """Podium, seen from here. `circuit`: whether instances are asked for (`closed`), not at the moment (`open`), or on trial."""

    reachable: bool
    circuit: Literal["closed", "open", "half_open"]


class Health(msgspec.Struct, frozen=True):
    """`ok`, or `degraded` while Podium can't be used: sessions can be read then, and nobody answers."""

    status: Literal["ok", "degraded"]
    version: str
    podium: PodiumHealth
    sessions: int
    connections: int


class Platform:
    """The routes. `sessions` and `connections` count what is at work."""

    def __init__(
        self,
        podium: PodiumClient,
        metrics: Metrics,
        clock: Clock,
        sessions: Callable[[], int],
        connections: Callable[[], int],
    ) -> None:
        self._podium = podium
        self._metrics = metrics
        self._clock = clock
        self._sessions = sessions
        self._connections = connections
        self._probing = asyncio.Lock()
        self._probed_at: float | None = None
        self._reachable = False

    async def health(self, _call: Call) -> Health:
        """Alive, and whether Podium is."""
        reachable = await self._podium_reachable()
        circuit = self._podium.instances.circuit.circuit
        podium = PodiumHealth(reachable, circuit.value)
        well = reachable and circuit.value == "closed"
        return Health("ok" if well else "degraded", __version__, podium, self._sessions(), self._connections())

    async def metrics(self, _call: Call) -> Answer:
        """Prometheus text."""
        return Answer(200, self._metrics.page().encode(), {}, CONTENT_TYPE)

    def app(self) -> HttpApp:
        """The application."""
        endpoints = [
            Endpoint(
                method="GET",
                path="/health",
                handler=self.health,
                tag=TAG,
                access=PUBLIC,
                summary="Alive? And Podium?",
                answers={200: Health},
            ),
            Endpoint(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                tag=TAG,
                access=PUBLIC,
                summary="Metrics in the Prometheus text format",
                answers={200: Media("text/plain")},
            ),
        ]
        return HttpApp(endpoints, _nobody, observe=counting(self._metrics), clock=self._clock)

    async def _podium_reachable(self) -> bool:
        async with self._probing:
            now = self._clock.monotonic()
            if self._probed_at is None or now - self._probed_at >= PROBE_KEPT_SECONDS:
                self._reachable = await self._podium.is_reachable()
                self._probed_at = self._clock.monotonic()
            return self._reachable


async def _nobody(access: Access, headers: Mapping[str, str]) -> Identity:  # noqa: ARG001 - as an `Authenticator`
    """All routes are public."""
    return NOBODY
