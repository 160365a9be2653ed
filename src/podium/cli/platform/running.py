"""The running platform: a gateway and a coordinator, started together, watched, stopped in order."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from podium.base.tasks import TaskOwner
from podium.cli.failures import ConfigurationError
from podium.cli.place import ADDRESS_NAME, ADMIN_KEY_NAME, DEV_KEY_NAME
from podium.cli.platform.daemon import Daemon
from podium.cli.platform.files import (
    ADMIN_PREFIX,
    CLUSTER_KEY_NAME,
    SECRETS_KEY_NAME,
    Lock,
    ensure_secret,
    make_data,
    make_secret,
    write_private,
)
from podium.cli.platform.orphans import adopt_orphans, end_orphans, reap_orphans
from podium.cli.platform.ports import COORDINATOR_PORT, GATEWAY_PORT, choose_port
from podium.cli.platform.probe import ask
from podium.cli.platform.restarts import Death, GiveUp, after_death, described
from podium.wire.errors import ErrorCode, PodiumError

DAEMONS: Final = ("coordinator", "gateway")
"""Started together in this order; stopped in the opposite one, so that clients are told before agents end."""

READY_SECONDS: Final = 60.0
"""How long starting may take."""

READY_POLL_SECONDS: Final = 0.015
"""How often readiness is asked for."""

STOP_SECONDS: Final = {"gateway": 15.0, "coordinator": 30.0}
"""How long each daemon has to end by itself (its own limits are GATEWAY_STOP and COORDINATOR_STOP) before it is killed."""

SWEEPS_MAX: Final = 200
"""How often, at the end, orphans are killed and looked for again: about three seconds."""

DEV_TENANT: Final = "dev"
DEV_PERMISSIONS: Final = (
    "deployments:write",
    "instances:write",
    "instances:read",
    "files:read",
    "files:write",
    "secrets:write",
    "config:write",
)
"""What the development key may do: all a tenant can."""

Tell = Callable[[str], None]


class Addresses(NamedTuple):
    """Where the platform is reached."""

    gateway: str
    coordinator: str
    data: Path


class RunningPlatform:
    """One platform on one data directory, in this process's care."""

    def __init__(self, data: Path, environment: Mapping[str, str], tell: Tell) -> None:
        self.data = data
        self._environment = environment
        self._tell = tell
        self._tasks = TaskOwner("platform")
        self._daemons: dict[str, Daemon] = {}
        self._lock: Lock | None = None
        self._stopping = False
        self._ever_ready = False
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ports: dict[str, int] = {}
        self._admin_key = ""

    async def start(self) -> Addresses | None:
        """Starts both daemons and returns when agents can be run; None when it was halted before.

        Raises:
            ConfigurationError: the data directory or a port is taken, or a daemon refuses its configuration.
            PodiumError: a daemon does not start; `logs` holds what it wrote.
        """
        make_data(self.data)
        lock = Lock(self.data)
        lock.take()
        self._lock = lock
        environment = self._prepare()
        adopt_orphans()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        for name in DAEMONS:
            self._tasks.start(self._keep(name, environment), name)
        if not await self._until_ready():
            return None
        self._ever_ready = True
        await self._ensure_dev_key()
        write_private(self.data / ADDRESS_NAME, self._url("gateway"))
        return Addresses(self._url("gateway"), self._url("coordinator"), self.data)

    async def run(self) -> None:
        """Watches until `halt`.

        Raises:
            ConfigurationError | PodiumError: a daemon can't be kept alive.
        """
        await self._end

    def halt(self) -> None:
        """Ends `start` or `run`; for signal handlers."""
        if not self._end.done():
            self._end.set_result(None)

    async def stop(self) -> None:
        """Stops both, in order, each within its bound; nothing is left."""
        self._stopping = True
        await self._tasks.close()
        for name in reversed(DAEMONS):
            daemon = self._daemons.pop(name, None)
            if daemon is not None:
                await daemon.stop(STOP_SECONDS[name])
        await self._sweep()
        if self._lock is not None:
            (self.data / ADDRESS_NAME).unlink(missing_ok=True)
            self._lock.release()

    def pids(self) -> dict[str, int]:
        """The daemons' process ids."""
        return {name: daemon.pid for name, daemon in self._daemons.items()}

    # ── starting ─────────────────────────────────────────────────────────────────────────────────────────────

    def _prepare(self) -> dict[str, str]:
        """The daemons' environment; what the user has set wins over what is made here."""
        given = {name: value for name, value in self._environment.items() if name != "PODIUM_API_KEY"}
        self._ports = {
            "gateway": choose_port(given, "GATEWAY_PORT", GATEWAY_PORT),
            "coordinator": choose_port(given, "COORDINATOR_PORT", COORDINATOR_PORT),
        }
        admin = ensure_secret(self.data / ADMIN_KEY_NAME, lambda: make_secret(ADMIN_PREFIX))
        made = {
            "ADMIN_API_KEY": admin,
            "CLUSTER_KEY": ensure_secret(self.data / CLUSTER_KEY_NAME, make_secret),
            "SECRETS_KEY": ensure_secret(self.data / SECRETS_KEY_NAME, make_secret),
            "COORDINATOR_ID": "local",
        }
        environment = {**made, **{name: value for name, value in given.items() if value or name not in made}}
        self._admin_key = environment["ADMIN_API_KEY"]
        return {
            **environment,
            "PODIUM_DATA": str(self.data.absolute()),
            "GATEWAY_PORT": str(self._ports["gateway"]),
            "COORDINATOR_PORT": str(self._ports["coordinator"]),
        }

    async def _until_ready(self) -> bool:
        """False when halted before."""
        limit = time.monotonic() + READY_SECONDS
        while not await self._is_ready():
            if self._end.done():
                self._end.result()
                return False
            if time.monotonic() > limit:
                detail = f"not ready after {READY_SECONDS:.0f} s (logs: {self.data / 'log'})"
                raise PodiumError(ErrorCode.INTERNAL, detail)
            await asyncio.sleep(READY_POLL_SECONDS)
        return True

    async def _is_ready(self) -> bool:
        port = self._ports["gateway"]
        if (await ask(port, "GET", "/ready")).status != 200:
            return False
        reply = await ask(port, "GET", "/api/v1/coordinators", self._admin_key)
        return reply.status == 200 and bool(reply.body["items"])

    async def _ensure_dev_key(self) -> None:
        """Makes the development key, unless the one of an earlier start is still good."""
        port, path = self._ports["gateway"], self.data / DEV_KEY_NAME
        known = path.read_text().strip() if path.exists() else ""
        if known and (await ask(port, "GET", "/api/v1/deployments?limit=1", known)).status == 200:
            return
        wanted = {"tenant_id": DEV_TENANT, "name": "podium up", "permissions": list(DEV_PERMISSIONS)}
        reply = await ask(port, "POST", "/api/v1/keys", self._admin_key, wanted)
        if reply.status != 201:
            raise PodiumError(ErrorCode.INTERNAL, f"the development key could not be made (status {reply.status})")
        write_private(path, reply.body["key"])

    # ── watching ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, name: str, environment: Mapping[str, str]) -> None:
        """Starts a daemon, and again when it dies, until the platform stops or there is no use."""
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            daemon = self._daemons[name] = Daemon(name, environment, self.data / "log" / f"{name}.log")
            code = await daemon.wait()
            decision = after_death(failures, Death(code, time.monotonic() - started, self._ever_ready))
            if isinstance(decision, GiveUp):
                self._give_up(daemon, code, decision)
                return
            failures = decision.failures
            self._tell(f"{name} ended with {described(code)}; starting it again")
            await asyncio.sleep(decision.delay)

    def _give_up(self, daemon: Daemon, code: int, decision: GiveUp) -> None:
        detail = f"{daemon.name} can't be run: {decision.reason} (log: {self.data / 'log' / daemon.name}.log)"
        lines = daemon.tail()
        error: Exception = PodiumError(ErrorCode.INTERNAL, detail, logs=lines)
        if code == os.EX_CONFIG:
            error = ConfigurationError("\n".join([detail, *lines]))
        if not self._end.done():
            self._end.set_exception(error)

    def _reap(self) -> None:
        reap_orphans(self.pids().values())

    async def _sweep(self) -> None:
        """Ends what the daemons left behind, though they should not have."""
        if self._lock is None:
            return
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        for _ in range(SWEEPS_MAX):
            if end_orphans(()):
                break
            await asyncio.sleep(READY_POLL_SECONDS)
        await asyncio.to_thread(_unmount, self.data.resolve())

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"


def _unmount(data: Path) -> None:
    """Takes away what is still mounted in the data directory: of a coordinator that was killed, and whose successor was stopped
    before it could clean up. Blocking."""
    from podium.coordinator.adapters.workspaces.mounting import clean  # late: `podium up` should be ready soon

    clean(data)
