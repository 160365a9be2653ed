"""The host itself: alive, ready, how full, metrics, drain."""

from collections.abc import Awaitable, Callable
from typing import Any

from podium.base.http import Answer, Call
from podium.base.metrics import CONTENT_TYPE
from podium.coordinator.supervisor.supervisor import Supervisor
from podium.wire.rest import Health, Load, Ready
from podium.wire.status import InstanceStatus

Check = Callable[[], Awaitable[None]]


class Host:
    """Handlers about the host. `checks` are by the name of the dependency; each raises when it can't be used."""

    def __init__(
        self, supervisor: Supervisor, version: str, load: Callable[[], Load], checks: dict[str, Check]
    ) -> None:
        self._supervisor = supervisor
        self._metrics = supervisor.parts.metrics
        self._version = version
        self._load = load
        self._checks = checks

    async def get_health(self, _call: Call) -> Health:
        """The process is alive."""
        return Health("ok", self._version)

    async def get_ready(self, _call: Call) -> Answer:
        """Whether everything it needs can be used."""
        failing = [name for name, check in self._checks.items() if not await _passes(check)]
        if self._supervisor.draining:
            failing.append("draining")
        return Answer(503 if failing else 200, Ready("not_ready" if failing else "ready", failing))

    async def get_metrics(self, _call: Call) -> Answer:
        """Counters and gauges in the Prometheus text format."""
        for status, count in self._by_status().items():
            self._metrics.set("instances", count, status=status.value)
        return Answer(200, self._metrics.page().encode(), content_type=CONTENT_TYPE)

    async def get_status(self, _call: Call) -> dict[str, Any]:
        """Agents, resources, isolation, version."""
        supervisor = self._supervisor
        return {
            "coordinator_id": supervisor.parts.coordinator_id,
            "version": self._version,
            "state": "draining" if supervisor.draining else "active",
            "isolation": supervisor.parts.processes.isolation,
            "workspace_backend": supervisor.parts.workspaces.backend,
            "load": self._load(),
            "instances": {status.value: count for status, count in self._by_status().items() if count},
        }

    async def drain(self, _call: Call) -> Answer:
        """Takes no more instances, lets turns finish, ends processes; in the background."""
        if not self._supervisor.draining:
            self._supervisor.draining = True
            self._supervisor.tasks.start(self._supervisor.drain(), "drain")
        return Answer(202)

    def _by_status(self) -> dict[InstanceStatus, int]:
        counts = dict.fromkeys(InstanceStatus, 0)
        for instance in self._supervisor.instances.values():
            counts[instance.status] += 1
        return counts


async def _passes(check: Check) -> bool:
    try:
        await check()
    except Exception:  # noqa: BLE001 - whatever a dependency raises, it can't be used
        return False
    return True
