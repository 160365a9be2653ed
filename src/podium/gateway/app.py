"""The gateway as a daemon: parts put together, served, and taken apart in order."""

import asyncio
import contextlib
import logging
import signal
import socket

import uvloop

from podium.base.clock import Clock, SystemClock
from podium.base.discovery import Discovery
from podium.base.entropy import random_id
from podium.base.http import HttpServer, audit
from podium.base.http.origins import CrossOrigin
from podium.base.logs import dump_on_signal, set_up_logging
from podium.base.metrics import Metrics
from podium.base.objects import ObjectStore
from podium.base.sealing import Sealer
from podium.base.settings import GatewaySettings, open_discovery, open_objects
from podium.base.tasks import TaskOwner
from podium.base.telemetry import open_telemetry
from podium.base.vitals import Vitals
from podium.gateway.adapters.callers import Callers
from podium.gateway.adapters.coordinators import Coordinators
from podium.gateway.adapters.homes import Homes
from podium.gateway.adapters.quotas import Quotas
from podium.gateway.adapters.registry import Registry
from podium.gateway.adapters.resolver import Resolver
from podium.gateway.adapters.vault import SecretVault
from podium.gateway.api.routes import make_app
from podium.gateway.options import DefaultLimits, GatewayOptions
from podium.gateway.parts import Parts
from podium.gateway.stream.door import Door

_log = logging.getLogger(__name__)


class Gateway:
    """One gateway. `discovery` and `objects` belong to the caller; everything else is made and closed here."""

    def __init__(
        self, options: GatewayOptions, discovery: Discovery, objects: ObjectStore, sealer: Sealer, clock: Clock
    ) -> None:
        registry = Registry(objects, options.environment)
        coordinators = Coordinators(discovery, clock, options.cluster_key)
        self._owner = TaskOwner("gateway")
        self.parts = Parts(
            options=options,
            discovery=discovery,
            registry=registry,
            coordinators=coordinators,
            homes=Homes(discovery, coordinators, self._owner),
            resolver=Resolver(discovery, registry),
            callers=Callers(discovery, clock, options.admin_key),
            vault=SecretVault(sealer),
            quotas=Quotas(discovery, registry, clock, options.tenant_limits),
            metrics=Metrics("gateway"),
            clock=clock,
            new_id=random_id,
            background=self._owner,
        )
        self._app = make_app(self.parts)
        self._door = Door(self.parts)
        self._server = HttpServer(CrossOrigin(self._app, options.origins), self._door.enter)

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, listening: socket.socket | None = None) -> int:
        """Serves; returns the port.

        Raises:
            OSError: the address can't be had.
        """
        self.parts.options.upload_directory.mkdir(parents=True, exist_ok=True)
        await self.parts.coordinators.open()
        await self._door.open()
        port = await self._server.start(host, port, listening=listening)
        _log.info("gateway_started", extra={"host": host, "port": port})
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Closes streams with 1012 (clients reconnect elsewhere at once), lets requests finish, frees everything."""
        await self._app.close()
        await self._door.close()
        await self._server.stop(grace_seconds)
        await self._owner.close()
        await self.parts.coordinators.close()
        _log.info("gateway_stopped")


def run(settings: GatewaySettings) -> None:
    """Runs a gateway until SIGTERM or SIGINT."""
    set_up_logging(settings.log_level, settings.log_format)
    if settings.audit_log is not None:
        audit.keep_in(settings.audit_log)
    uvloop.run(_serve(settings))


def options_of(settings: GatewaySettings) -> GatewayOptions:
    """The options in the settings of a daemon."""
    assert settings.cluster_key is not None, "checked when the settings were read"
    return GatewayOptions(
        environment=settings.environment,
        cluster_key=settings.cluster_key.reveal(),
        upload_directory=settings.data / "uploads",
        admin_key=settings.admin_api_key.reveal() if settings.admin_api_key else None,
        ensemble_url=settings.ensemble_url,
        tenant_limits=DefaultLimits(
            settings.instances_per_tenant,
            settings.deployments_per_tenant,
            settings.messages_per_minute,
            settings.connections_per_tenant,
        ),
        tenant_allowance=settings.tenant_allowance,
        connections_max=settings.connections_max,
        origins=settings.origins,
        reattach_seconds=settings.reattach_seconds,
    )


async def _serve(settings: GatewaySettings) -> None:
    loop = asyncio.get_running_loop()
    dump_on_signal(loop)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    assert settings.secrets_key is not None, "checked when the settings were read"
    previous = settings.secrets_key_previous.reveal() if settings.secrets_key_previous else None
    discovery, objects = open_discovery(settings), open_objects(settings)
    gateway = Gateway(
        options_of(settings), discovery, objects, Sealer(settings.secrets_key.reveal(), previous), SystemClock()
    )
    async with contextlib.AsyncExitStack() as closing:
        telemetry = open_telemetry(settings, "gateway", environment=settings.environment)
        closing.push_async_callback(telemetry.close)
        telemetry.follow(gateway.parts.metrics)
        vitals = Vitals(gateway.parts.metrics, settings.data)
        closing.push_async_callback(vitals.close)
        vitals.start()
        closing.push_async_callback(discovery.close)
        closing.push_async_callback(objects.close)
        closing.push_async_callback(gateway.stop, settings.stop_seconds)
        await gateway.start(settings.host, settings.port)
        await stopping.wait()
