"""Diminuendo as a daemon: parts put together, served, and taken apart in order."""

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

import uvloop

from diminuendo.acp.websocket import acp_room
from diminuendo.auth.callers import LOCAL, Callers
from diminuendo.auth.key_file import KeyFile
from diminuendo.protocol.limits import FailedTokens
from diminuendo.server.connection import Parts
from diminuendo.server.door import Door, Room
from diminuendo.server.relay import relay_room
from diminuendo.server.rest import Platform
from diminuendo.serving import relaying
from diminuendo.serving.hub import Hub
from diminuendo.settings import DiminuendoSettings
from diminuendo.storage.places import Places
from podium.base.clock import Clock, SystemClock
from podium.base.discovery import Discovery
from podium.base.http import HttpServer
from podium.base.logs import dump_on_signal, set_up_logging
from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner
from podium.base.telemetry import open_telemetry
from podium.base.timers import Timers
from podium.base.vitals import Vitals
from podium.client import PodiumClient

if TYPE_CHECKING:
    from diminuendo.serving.replicas import Replicas

_log = logging.getLogger(__name__)


class Diminuendo:
    """One Diminuendo. Made inside the event loop; `start` it, and `stop` it."""

    def __init__(self, settings: DiminuendoSettings, clock: Clock) -> None:
        """Raises `OSError` or `ValueError` when the API keys can't be read."""
        self.metrics = Metrics("diminuendo")
        self._settings = settings
        self._podium = PodiumClient(settings.client())
        self._owner = TaskOwner("diminuendo")
        self._timers = Timers(clock)
        self.hub = Hub(Places(settings.data), self._podium, clock, round(settings.idle_seconds * 1000))
        self.callers = _callers(settings, clock)
        self._discovery = _discovery(settings)
        self._replicas: Replicas | None = None
        rooms: dict[bytes, Room] = {}
        if self._discovery is not None and settings.url is not None and settings.cluster_key is not None:
            key = settings.cluster_key.reveal()
            self._replicas = _replicas(self.hub, self._discovery, settings.url, key, clock)
            rooms[relaying.PATH.encode()] = relay_room(self._replicas.here, key, self._owner)
        parts = Parts(
            sessions=self._replicas or self.hub,
            callers=self.callers,
            failed=FailedTokens(),
            metrics=self.metrics,
            clock=clock,
            timers=self._timers,
            owner=self._owner,
            local=LOCAL if settings.auth == "none" else None,
        )
        self._door = Door(
            parts,
            settings.origins,
            settings.connections_max,
            settings.proxies,
            {b"/acp": acp_room(parts, self._podium), **rooms},
        )
        platform = Platform(self._podium, self.metrics, clock, lambda: len(self.hub), lambda: len(self._door))
        self._app = platform.app()
        self._server = HttpServer(self._app, self._door.enter)
        self.metrics.watch("sessions_at_work", lambda: len(self.hub))

    async def start(self) -> int:
        """Takes up what an earlier process left behind, and serves; returns the port.

        Raises:
            OSError: the data directory or the address can't be had.
        """
        self._settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self.hub.open()
        if self._replicas is not None:
            await self._replicas.open()
        else:
            await self.hub.take_all()
        self._door.open()
        port = await self._server.start(self._settings.host, self._settings.port)
        _log.info("diminuendo_started", extra={"host": self._settings.host, "port": port})
        return port

    async def stop(self) -> None:
        """Tells clients to connect again, lets requests finish, frees everything. Instances go on without us."""
        await self._app.close()
        await self._door.close()
        await self._server.stop(self._settings.stop_seconds)
        await self.hub.close()
        if self._replicas is not None:
            await self._replicas.close()
        if self._discovery is not None:
            await self._discovery.close()
        await self._owner.close()
        self._timers.close()
        await self._podium.close()
        _log.info("diminuendo_stopped")


def run(settings: DiminuendoSettings) -> None:
    """Runs a Diminuendo until SIGTERM or SIGINT."""
    set_up_logging(settings.log_level, settings.log_format)
    uvloop.run(_serve(settings))


def _discovery(settings: DiminuendoSettings) -> Discovery | None:
    """Where replicas agree; None: this is the only one."""
    if settings.valkey is None:
        return None
    from podium.base.discovery.valkey import ValkeyDiscovery

    return ValkeyDiscovery(settings.valkey, call_seconds=settings.valkey_seconds)


def _replicas(hub: Hub, discovery: Discovery, url: str, cluster_key: str, clock: Clock) -> "Replicas":
    from diminuendo.serving.replicas import Replicas

    return Replicas(hub, discovery, url, cluster_key, clock)


def _callers(settings: DiminuendoSettings, clock: Clock) -> Callers:
    rules = settings.token_rules()
    tokens = None
    if rules is not None and settings.jwks_url is not None:
        from diminuendo.auth.fetching import fetch_from
        from diminuendo.auth.jwks import JwksCache
        from diminuendo.auth.tokens import TokenChecker

        tokens = TokenChecker(rules, JwksCache(fetch_from(settings.jwks_url), clock), clock)
    return Callers(KeyFile(settings.keys_file), tokens, clock)


async def _serve(settings: DiminuendoSettings) -> None:
    loop = asyncio.get_running_loop()
    dump_on_signal(loop)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    diminuendo = Diminuendo(settings, SystemClock())
    async with contextlib.AsyncExitStack() as closing:
        telemetry = open_telemetry(settings, "diminuendo")
        closing.push_async_callback(telemetry.close)
        telemetry.follow(diminuendo.metrics)
        vitals = Vitals(diminuendo.metrics, settings.data)
        closing.push_async_callback(vitals.close)
        vitals.start()
        closing.push_async_callback(diminuendo.stop)
        await diminuendo.start()
        await stopping.wait()
