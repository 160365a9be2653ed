"""Discovery for the daemons of one host: one SQLite file that all of them open. Not for a network file system.

Reads run inline: in WAL mode nobody's write ever blocks them and a lookup costs some microseconds. Writes run on one
thread, since another process may hold the lock for a while (it may even be stopped in the middle). A commit survives the
death of every process; commits that must also survive the host's power (epochs, keys, secrets, configuration) wait for
the disk. A cancelled caller does not stop its write: it happens or fails as a whole.

Notices of other processes are seen by looking at the file's change counter, a read of shared memory, and only while
somebody is subscribed.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from podium.base.clock import Clock
from podium.base.discovery import statements
from podium.base.discovery.port import (
    AgentRecord,
    Claim,
    ConfigRecord,
    CoordinatorRecord,
    DiscoveryUnavailableError,
    InstanceFilter,
    InstanceRecord,
    KeyRecord,
    Lease,
    Notice,
    SecretsRecord,
    Spending,
    Subscription,
)
from podium.base.discovery.rules import new_claim
from podium.base.discovery.subscription import Subscribers
from podium.base.sqlite import DatabaseFileError, open_database, read_migrations, transaction
from podium.wire.budgets import Allowance

APPLICATION_ID: Final = 0x506F6431
"""Marks the file as ours ("Pod1")."""

NOTICE_POLL_SECONDS: Final = 0.2
"""How often a process with subscribers looks for notices of others; far below `PROPAGATION_SECONDS`. Measured on a slow
host: 0.07 % of a core."""

PRUNE_SECONDS: Final = 30.0
"""How often a process removes what has run out."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SCHEMA = "podium.base.discovery.schema"

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def host_boot_id() -> str:
    """The kernel's identity of this boot, empty where it has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class EmbeddedDiscovery:
    """The port over a file. `open` makes one; the object belongs to the event loop that uses it."""

    def __init__(self, reader: sqlite3.Connection, writer: sqlite3.Connection, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="discovery")
        self._subscribers = Subscribers()
        self._watch: asyncio.TimerHandle | None = None
        self._seen = 0
        self._counter = -1
        self._next_prune = 0.0
        self._closed = False

    @classmethod
    def open(cls, path: Path, clock: Clock, boot_id: str | None = None) -> "EmbeddedDiscovery":
        """Opens the file, made (readable by its owner only) when missing. `boot_id` is the host's unless given.

        Raises:
            DiscoveryUnavailableError: the file can't be opened or is not ours; the reason names it.
        """
        with contextlib.ExitStack() as opened:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                writer = opened.enter_context(contextlib.closing(_connect(path)))
                with transaction(writer):
                    statements.enter_host(writer, host_boot_id() if boot_id is None else boot_id)
                reader = opened.enter_context(contextlib.closing(_connect(path)))
                reader.execute("PRAGMA query_only = ON").close()
            except DatabaseFileError as error:
                raise DiscoveryUnavailableError(str(error)) from error
            except (OSError, sqlite3.Error) as error:
                raise DiscoveryUnavailableError(f"{path}: {error}") from error
            opened.pop_all()
        return cls(reader, writer, clock)

    # ── how a question is asked ──────────────────────────────────────────────────────────────────────────────

    def _read(self, ask: Callable[..., _T], *arguments: object) -> _T:
        if self._closed:
            raise DiscoveryUnavailableError("discovery is closed")
        try:
            return ask(self._reader, *arguments)
        except sqlite3.Error as error:
            raise DiscoveryUnavailableError(str(error)) from error

    async def _write(self, ask: Callable[..., _T], *arguments: object, durable: bool = False) -> _T:
        if self._closed:
            raise DiscoveryUnavailableError("discovery is closed")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._commit, durable, ask, arguments)
        except sqlite3.Error as error:
            raise DiscoveryUnavailableError(str(error)) from error

    def _commit(self, durable: bool, ask: Callable[..., _T], arguments: tuple[object, ...]) -> _T:
        """One transaction, on the writing thread."""
        if durable:
            self._writer.execute("PRAGMA synchronous = FULL")
        try:
            with transaction(self._writer) as connection:
                monotonic = self._clock.monotonic()
                if monotonic >= self._next_prune:
                    self._next_prune = monotonic + PRUNE_SECONDS
                    statements.prune(connection, self._clock.now_ms(), monotonic)
                return ask(connection, *arguments)
        finally:
            if durable:
                self._writer.execute("PRAGMA synchronous = NORMAL")

    # ── coordinators ─────────────────────────────────────────────────────────────────────────────────────────

    async def announce(self, record: CoordinatorRecord) -> bool:
        """See `Discovery.announce`."""
        return await self._write(statements.announce, record, self._clock.monotonic())

    async def withdraw(self, coordinator_id: str) -> None:
        """See `Discovery.withdraw`."""
        await self._write(statements.withdraw, coordinator_id)

    async def coordinators(self) -> list[CoordinatorRecord]:
        """See `Discovery.coordinators`."""
        return self._read(statements.coordinators, self._clock.monotonic())

    # ── instances and agents ─────────────────────────────────────────────────────────────────────────────────

    async def put_instances(self, records: Sequence[InstanceRecord]) -> None:
        """See `Discovery.put_instances`."""
        await self._write(statements.put_instances, list(records))

    async def instance(self, instance_id: str) -> InstanceRecord | None:
        """See `Discovery.instance`."""
        return self._read(statements.instance, instance_id)

    async def instances(self, wanted: InstanceFilter, after: str | None, limit: int) -> list[InstanceRecord]:
        """See `Discovery.instances`."""
        return self._read(statements.instances, wanted, after, limit)

    async def remove_instances(self, instance_ids: Sequence[str]) -> None:
        """See `Discovery.remove_instances`."""
        await self._write(statements.remove_instances, list(instance_ids))

    async def put_agent(self, record: AgentRecord) -> None:
        """See `Discovery.put_agent`."""
        await self._write(statements.put_agent, record)

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """See `Discovery.agent`."""
        return self._read(statements.agent, agent_id)

    async def agents(self, tenant_id: str | None, after: str | None, limit: int) -> list[AgentRecord]:
        """See `Discovery.agents`."""
        return self._read(statements.agents, tenant_id, after, limit)

    async def remove_agent(self, agent_id: str) -> None:
        """See `Discovery.remove_agent`."""
        await self._write(statements.remove_agent, agent_id, durable=True)

    # ── leases ───────────────────────────────────────────────────────────────────────────────────────────────

    async def acquire_lease(self, agent_id: str, coordinator_id: str, above: int = 0) -> Lease | None:
        """See `Discovery.acquire_lease`."""
        return await self._write(
            statements.acquire_lease, agent_id, coordinator_id, above, self._clock.monotonic(), durable=True
        )

    async def renew_leases(self, coordinator_id: str, held: dict[str, int]) -> list[str]:
        """See `Discovery.renew_leases`."""
        return await self._write(statements.renew_leases, coordinator_id, held, self._clock.monotonic())

    async def lease(self, agent_id: str) -> Lease | None:
        """See `Discovery.lease`."""
        return self._read(statements.lease, agent_id, self._clock.monotonic())

    async def release_lease(self, agent_id: str, coordinator_id: str, epoch: int) -> None:
        """See `Discovery.release_lease`."""
        await self._write(statements.release_lease, agent_id, coordinator_id, epoch)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def put_key(self, record: KeyRecord) -> None:
        """See `Discovery.put_key`."""
        await self._write(statements.put_key, record, durable=True)

    async def key(self, key_id: str) -> KeyRecord | None:
        """See `Discovery.key`."""
        return self._read(statements.key, key_id)

    async def keys(self, after: str | None, limit: int) -> list[KeyRecord]:
        """See `Discovery.keys`."""
        return self._read(statements.keys, after, limit)

    async def remove_key(self, key_id: str) -> bool:
        """See `Discovery.remove_key`."""
        removed = await self._write(statements.remove_key, key_id, self._clock.monotonic(), durable=True)
        self._deliver()
        return removed

    # ── secrets, configuration ───────────────────────────────────────────────────────────────────────────────

    async def set_secrets(self, tenant_id: str, agent_type: str, sealed: dict[str, str]) -> None:
        """See `Discovery.set_secrets`."""
        await self._write(statements.set_secrets, tenant_id, agent_type, dict(sealed), durable=True)

    async def secrets(self, tenant_id: str, agent_type: str) -> SecretsRecord | None:
        """See `Discovery.secrets`."""
        return self._read(statements.secrets, tenant_id, agent_type)

    async def remove_secret(self, tenant_id: str, agent_type: str, name: str) -> bool:
        """See `Discovery.remove_secret`."""
        return await self._write(statements.remove_secret, tenant_id, agent_type, name, durable=True)

    async def config(self) -> ConfigRecord:
        """See `Discovery.config`."""
        return self._read(statements.config)

    async def set_config(self, config: dict[str, Any]) -> ConfigRecord:
        """See `Discovery.set_config`."""
        record = await self._write(statements.set_config, config, self._clock.monotonic(), durable=True)
        self._deliver()
        return record

    # ── idempotency and rates ────────────────────────────────────────────────────────────────────────────────

    async def claim(
        self, tenant_id: str, key: str, fingerprint: str, plan: dict[str, Any], hold_seconds: float
    ) -> Claim:
        """See `Discovery.claim`."""
        now = self._clock.now_ms()
        asked = new_claim(fingerprint, plan, hold_seconds, now)
        return await self._write(statements.claim, tenant_id, key, asked, now)

    async def settle_claim(self, tenant_id: str, key: str, answer: dict[str, Any]) -> None:
        """See `Discovery.settle_claim`."""
        await self._write(statements.settle_claim, tenant_id, key, answer)

    async def drop_claim(self, tenant_id: str, key: str) -> None:
        """See `Discovery.drop_claim`."""
        await self._write(statements.drop_claim, tenant_id, key)

    async def take_token(self, bucket: str, per_second: float, burst: int) -> float:
        """See `Discovery.take_token`."""
        return await self._write(statements.take_token, bucket, per_second, burst, self._clock.monotonic())

    # ── spending ─────────────────────────────────────────────────────────────────────────────────────────────

    async def add_spending(
        self, tenant_id: str, day: str, micro_dollars: int, allowance: Allowance | None = None
    ) -> Spending:
        """See `Discovery.add_spending`."""
        durable = allowance is not None
        return await self._write(statements.add_spending, tenant_id, day, micro_dollars, allowance, durable=durable)

    # ── notices ──────────────────────────────────────────────────────────────────────────────────────────────

    async def publish(self, notice: Notice) -> None:
        """See `Discovery.publish`."""
        await self._write(statements.publish, notice, self._clock.monotonic())
        self._deliver()

    def subscribe(self, *channels: str) -> Subscription:
        """See `Discovery.subscribe`. Must be called on the event loop."""
        self._deliver()
        if not self._subscribers:
            self._seen = self._read(statements.last_notice)
        queue = self._subscribers.add(channels)
        if self._watch is None:
            self._watch_others()
        return queue

    def _watch_others(self) -> None:
        """Looks for notices of other processes every `NOTICE_POLL_SECONDS` while anybody here is subscribed."""
        self._watch = None
        if not self._subscribers:
            return
        try:
            self._deliver()
        except DiscoveryUnavailableError as error:
            _log.warning("notices_unreadable", extra={"reason": str(error)})
        # A timer, not a task that sleeps: half the cost, and this is all an idle daemon does here.
        self._watch = asyncio.get_running_loop().call_later(NOTICE_POLL_SECONDS, self._watch_others)

    def _deliver(self) -> None:
        """Hands what is new in the file to the subscribers; one look at a counter when nothing is."""
        if not self._subscribers:
            return
        counter = self._read(_change_counter)
        if counter == self._counter:
            return
        newest = self._read(statements.last_notice)
        found = self._read(statements.notices_after, self._seen)
        if (found[0][0] if found else newest + 1) > self._seen + 1:
            self._subscribers.miss()  # they were removed before we looked: this process was stopped for long
        for _, notice in found:
            self._subscribers.give(notice)
        self._seen = found[-1][0] if found else newest
        self._counter = counter

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────

    async def check(self) -> None:
        """See `Discovery.check`. Writes, so that a full or read-only disk shows."""
        await self._write(statements.touch_host, self._clock.now_ms())

    async def close(self) -> None:
        """See `Discovery.close`. Waits for writes under way."""
        if self._closed:
            return
        self._closed = True
        self._subscribers.end()
        if self._watch is not None:
            self._watch.cancel()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._writer.close)
        self._reader.close()
        self._thread.shutdown(wait=True)


def _connect(path: Path) -> sqlite3.Connection:
    return open_database(path, application_id=APPLICATION_ID, migrations=read_migrations(_SCHEMA))


def _change_counter(reader: sqlite3.Connection) -> int:
    """A number that differs after any other connection committed, also the writing one of this process."""
    counter: int = reader.execute("PRAGMA data_version").fetchone()[0]
    return counter
