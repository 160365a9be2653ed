"""The running platform: a gateway, a coordinator and a Diminuendo, started, watched, stopped in order."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from podium.base.keys import hash_key, key_id_of
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
from podium.cli.platform.ports import COORDINATOR_PORT, DIMINUENDO_PORT, GATEWAY_PORT, choose_port
from podium.cli.platform.probe import ask
from podium.cli.platform.restarts import Death, GiveUp, after_death, described
from podium.wire.errors import ErrorCode, PodiumError

MODULES: Final = {
    "coordinator": ("podium.coordinator",),
    "gateway": ("podium.gateway",),
    "diminuendo": ("diminuendo", "serve"),
}
"""The daemons. The first two are started together, Diminuendo when there is a key for it; all are stopped in the opposite order, so
that clients are told before agents end."""

READY_SECONDS: Final = 60.0
"""How long starting may take."""

READY_POLL_SECONDS: Final = 0.015
"""How often readiness is asked for."""

STOP_SECONDS: Final = {"diminuendo": 15.0, "gateway": 15.0, "coordinator": 30.0}
"""How long each daemon has to end by itself (its own limits are DIMINUENDO_STOP, GATEWAY_STOP, COORDINATOR_STOP) before it is killed."""

SWEEPS_MAX: Final = 200
"""How often, at the end, orphans are killed and looked for again: about three seconds."""

DIMINUENDO_NAME: Final = "diminuendo"
"""The directory of Diminuendo's data in that of the platform."""

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
    diminuendo: str | None
    data: Path


class RunningPlatform:
    """One platform on one data directory, in this process's care. `with_diminuendo`: and a Diminuendo over it."""

    def __init__(self, data: Path, environment: Mapping[str, str], tell: Tell, *, with_diminuendo: bool) -> None:
        self.data = data
        self._with_diminuendo = with_diminuendo
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
        """Starts the daemons and returns when agents can be run; None when it was halted before.

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
        for name in ("coordinator", "gateway"):
            self._tasks.start(self._keep(name, environment), name)
        if not await self._until(self._is_ready):
            return None
        key = await self._ensure_dev_key()
        if self._with_diminuendo:
            self._tasks.start(self._keep("diminuendo", self._of_diminuendo(environment, key)), "diminuendo")
            if not await self._until(self._is_diminuendo_ready):
                return None
        self._ever_ready = True
        write_private(self.data / ADDRESS_NAME, self._url("gateway"))
        diminuendo = self._url("diminuendo") if self._with_diminuendo else None
        return Addresses(self._url("gateway"), self._url("coordinator"), diminuendo, self.data)

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
        """Stops them, in order, each within its bound; nothing is left."""
        self._stopping = True
        await self._tasks.close()
        for name in reversed(MODULES):
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
        if self._with_diminuendo:
            self._ports["diminuendo"] = choose_port(given, "DIMINUENDO_PORT", DIMINUENDO_PORT)
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

    def _of_diminuendo(self, environment: Mapping[str, str], key: str) -> dict[str, str]:
        """Diminuendo's environment. The development key is both: what it uses there, and what lets the developer in here."""
        from diminuendo.auth.api_keys import KeyRecord
        from diminuendo.auth.key_file import put_key
        from diminuendo.domain.members import Role

        data = self.data.absolute() / DIMINUENDO_NAME
        dev = KeyRecord(hash_key(key), DEV_TENANT, DEV_TENANT, Role.OWNER, key_id=key_id_of(key) or "")
        put_key(Path(environment.get("DIMINUENDO_KEYS") or data / "keys.json"), dev)
        # The platform's own discovery and credentials are none of its business: it is a client, on one host.
        private = ("ADMIN_API_KEY", "CLUSTER_KEY", "SECRETS_KEY", "SECRETS_KEY_PREVIOUS", "VALKEY_URL")
        return {
            "DIMINUENDO_DATA": str(data),
            **{name: value for name, value in environment.items() if name not in private},
            "DIMINUENDO_PORT": str(self._ports["diminuendo"]),
            "PODIUM_URL": self._url("gateway"),
            "PODIUM_API_KEY": key,
        }

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        """Waits for a part to be ready; False when halted before."""
        limit = time.monotonic() + READY_SECONDS
        while not await condition():
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

    async def _is_diminuendo_ready(self) -> bool:
        return (await ask(self._ports["diminuendo"], "GET", "/health")).status == 200

    async def _ensure_dev_key(self) -> str:
        """The development key, made unless the one of an earlier start is still good."""
        port, path = self._ports["gateway"], self.data / DEV_KEY_NAME
        known = path.read_text().strip() if path.exists() else ""
        if known and (await ask(port, "GET", "/api/v1/deployments?limit=1", known)).status == 200:
            return known
        wanted = {"tenant_id": DEV_TENANT, "name": "podium up", "permissions": list(DEV_PERMISSIONS)}
        reply = await ask(port, "POST", "/api/v1/keys", self._admin_key, wanted)
        if reply.status != 201:
            raise PodiumError(ErrorCode.INTERNAL, f"the development key could not be made (status {reply.status})")
        key = str(reply.body["key"])
        write_private(path, key)
        return key

    # ── watching ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, name: str, environment: Mapping[str, str]) -> None:
        """Starts a daemon, and again when it dies, until the platform stops or there is no use."""
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            daemon = self._daemons[name] = Daemon(name, MODULES[name], environment, self.data / "log" / f"{name}.log")
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
