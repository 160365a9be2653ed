"""The telemetry of a daemon, from its start to its end."""

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Final

from podium import __version__
from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner
from podium.base.telemetry.settings import TelemetrySettings
from podium.base.telemetry.spans import record_with

if TYPE_CHECKING:
    from podium.base.telemetry.otlp import OtlpExporter

_log = logging.getLogger(__name__)

NAMESPACE: Final = "podium"


class Telemetry:
    """What a daemon tells a collector; without one it does nothing. One for a process."""

    def __init__(self, exporter: "OtlpExporter | None", every_seconds: float) -> None:
        self._exporter = exporter
        self._every = every_seconds
        self._tasks = TaskOwner("telemetry")
        self._metrics: Metrics | None = None

    def follow(self, metrics: Metrics) -> None:
        """Sends these metrics from now on, at regular times and at the end."""
        if self._exporter is not None:
            self._metrics = metrics
            self._tasks.start(self._send_for_ever(self._exporter, metrics), "metrics")

    async def close(self) -> None:
        """Sends what there is and ends; bounded when the collector is away."""
        await self._tasks.close()
        if self._exporter is None:
            return
        record_with(None)
        if self._metrics is not None:
            await self._send(self._exporter, self._metrics)
        await asyncio.to_thread(self._exporter.close)

    async def _send_for_ever(self, exporter: "OtlpExporter", metrics: Metrics) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self._send(exporter, metrics)

    async def _send(self, exporter: "OtlpExporter", metrics: Metrics) -> None:
        # Read here, in the loop's thread, which is where everything is counted; encoded and sent elsewhere.
        await asyncio.to_thread(exporter.send_metrics, metrics.samples())


def open_telemetry(settings: TelemetrySettings, daemon: str, *, instance: str = "", environment: str = "") -> Telemetry:
    """The telemetry of `daemon` (`gateway`, …) as configured. From now on spans of this process are recorded, if anything is.

    `instance`: its name among its like; default: the host's name and the process id. Call it once, inside the event loop.
    """
    if settings.otlp_endpoint is None or settings.otel_disabled:
        return Telemetry(None, 0)
    from podium.base.telemetry.otlp import OtlpExporter  # some 60 ms, for those who want it

    resource = {
        "service.namespace": NAMESPACE,
        "service.name": settings.otel_service or f"{NAMESPACE}-{daemon}",
        "service.version": __version__,
        "service.instance.id": instance or f"{socket.gethostname()}-{os.getpid()}",
    }
    if environment:
        resource["deployment.environment.name"] = environment
    exporter = OtlpExporter(settings, resource)
    record_with(exporter)
    _log.info("telemetry_started", extra={"endpoint": settings.otlp_endpoint, "service": resource["service.name"]})
    return Telemetry(exporter, settings.otel_metrics_ms / 1000)
