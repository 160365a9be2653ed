"""Health: how Podium is, without asking it each time somebody asks us."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from diminuendo.server.rest import PROBE_KEPT_SECONDS, Platform
from podium.base.clock import ManualClock
from podium.base.metrics import Metrics
from podium.client import PodiumClient
from podium.client.breaker import Breaker, Circuit


class Podium:
    """A Podium that can be away, and counts who asks."""

    def __init__(self) -> None:
        self.up = True
        self.asked = 0
        self.instances = SimpleNamespace(circuit=Breaker())

    async def is_reachable(self) -> bool:
        self.asked += 1
        return self.up


@pytest.mark.proves("DIM-HEALTH")
async def test_health_is_degraded_while_podium_is_away_or_its_circuit_is_open() -> None:
    podium, clock = Podium(), ManualClock()
    platform = Platform(cast("PodiumClient", podium), Metrics(), clock, lambda: 3, lambda: 4)
    call = cast("Any", None)
    well = await platform.health(call)
    assert (well.status, well.podium.reachable, well.sessions, well.connections) == ("ok", True, 3, 4)
    podium.up = False
    assert (await platform.health(call)).status == "ok", "found out a moment ago"
    assert podium.asked == 1
    clock.advance(PROBE_KEPT_SECONDS)
    away = await platform.health(call)
    assert (away.status, away.podium.reachable) == ("degraded", False)
    podium.up = True
    clock.advance(PROBE_KEPT_SECONDS)
    podium.instances.circuit = Breaker(Circuit.OPEN, 5, 0.0)
    tripped = await platform.health(call)
    assert (tripped.status, tripped.podium.reachable, tripped.podium.circuit) == ("degraded", True, "open")
