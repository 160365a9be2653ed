"""Discovery for several hosts: one Valkey server (or any of its protocol, from 7.0 on) that all daemons share.

What must be decided in one piece is a script in the server; what time it is there, too, is asked of the server, so that no
two hosts need the same clock. Keys are those of docs/internals/discovery.md. Every call ends within a limit, and at once
while the server is known to be away.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from podium.base.clock import Clock
from podium.base.discovery.port import (
    CHANNEL_CONFIG,
    CHANNEL_KEYS_REVOKED,
    COORDINATOR_TTL_SECONDS,
    LEASE_TTL_SECONDS,
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
from podium.base.discovery.rules import BUCKET_LIFE_SECONDS, config_changes
from podium.base.discovery.valkey_link import CALL_SECONDS, Argument, ValkeyLink
from podium.base.discovery.valkey_listener import ValkeyListener
from podium.base.discovery.valkey_location import ValkeyLocation
from podium.base.tasks import TaskOwner
from podium.wire.budgets import Allowance
from podium.wire.limits import IDEMPOTENCY_MEMORY_MS

RENEWALS_IN_A_SCRIPT: Final = 500
"""Leases one script renews, some milliseconds in which the server does nothing else. All scripts go in one round trip."""

SCAN_ROWS: Final = 200
"""Instances looked at in one round trip when a list has several conditions, which no single index answers."""

CONFIG_ATTEMPTS: Final = 20
"""How often a write of the configuration starts again because another was quicker."""

_COORDINATOR_MS: Final = round(COORDINATOR_TTL_SECONDS * 1000)
_LEASE_MS: Final = round(LEASE_TTL_SECONDS * 1000)
_DAY_SUM_MS: Final = 3 * 86_400_000
_MONTH_SUM_MS: Final = 33 * 86_400_000
"""How long what was spent in a day and in a month is remembered after the last of it: until both are over everywhere."""

_BUCKET_MS: Final = round(BUCKET_LIFE_SECONDS * 1000)


class _HeldLease(msgspec.Struct):
    """What `podium:leases:{agent_id}` holds, which is there only as long as the lease is."""

    coordinator_id: str
    epoch: int
    deadline: int


_Record = TypeVar("_Record", CoordinatorRecord, InstanceRecord, AgentRecord, KeyRecord, _HeldLease)


class ValkeyDiscovery:
    """The port over a server. Make it inside the event loop that uses it; it connects by itself and again when it must.

    `clock` is for tests that move time: the scripts are then given its time instead of asking the server for theirs.
    """

    def __init__(
        self, location: ValkeyLocation, *, call_seconds: float = CALL_SECONDS, clock: Clock | None = None
    ) -> None:
        self._clock = clock
        self._link = ValkeyLink(location, call_seconds)
        self._listener = ValkeyListener(self._link)
        self._announced_in: dict[str, int] = {}
        self._tasks = TaskOwner("valkey")
        self._tasks.start(self._listener.listen(), "listen")

    async def _run(self, name: str, *arguments: Argument) -> Any:
        return await self._link.run(name, self._now(), *arguments)

    def _now(self) -> str:
        """The time for a script; empty: it asks the server."""
        return "" if self._clock is None else str(self._clock.now_ms())

    # ── coordinators ─────────────────────────────────────────────────────────────────────────────────────────

    async def announce(self, record: CoordinatorRecord) -> bool:
        """See `Discovery.announce`. A server that was away may have come back with older data, so it is True then, too."""
        name, times_up = record.coordinator_id, self._listener.times_up
        new = await self._run("announce", name, msgspec.json.encode(record), _COORDINATOR_MS, _LEASE_MS)
        before = self._announced_in.get(name, times_up)
        self._announced_in[name] = times_up
        return bool(new) or before != times_up

    async def withdraw(self, coordinator_id: str) -> None:
        """See `Discovery.withdraw`."""
        await self._run("withdraw", coordinator_id)

    async def coordinators(self) -> list[CoordinatorRecord]:
        """See `Discovery.coordinators`."""
        found = _records(await self._run("coordinators"), CoordinatorRecord)
        return sorted(found, key=lambda record: record.coordinator_id)

    # ── instances and agents ─────────────────────────────────────────────────────────────────────────────────

    async def put_instances(self, records: Sequence[InstanceRecord]) -> None:
        """See `Discovery.put_instances`."""
        if records:
            await self._run("put_instances", *map(msgspec.json.encode, records))

    async def instance(self, instance_id: str) -> InstanceRecord | None:
        """See `Discovery.instance`."""
        return await self._get(f"podium:instances:{instance_id}", InstanceRecord)

    async def instances(self, wanted: InstanceFilter, after: str | None, limit: int) -> list[InstanceRecord]:
        """See `Discovery.instances`. The smallest index of what is wanted is walked through until there are enough."""
        asked = {
            field: value for field in InstanceFilter.__struct_fields__ if (value := getattr(wanted, field)) is not None
        }
        indexes = [f"podium:index:instances:{field}:{value}" for field, value in asked.items()]
        found: list[InstanceRecord] = []
        cursor, created = after or "", ""
        while len(found) < limit:
            rows = limit - len(found) if len(asked) < 2 else SCAN_ROWS
            last, created_at, *records = await self._run(
                "page_of_instances", cursor, created, rows, *(indexes or ["podium:index:instances"])
            )
            for record in _records(records, InstanceRecord):
                if all(getattr(record, field) == value for field, value in asked.items()):
                    found.append(record)
            cursor, created = last.decode(), created_at.decode()
            if not cursor:
                break
        return found[:limit]

    async def remove_instances(self, instance_ids: Sequence[str]) -> None:
        """See `Discovery.remove_instances`."""
        if instance_ids:
            await self._run("remove_instances", *instance_ids)

    async def put_agent(self, record: AgentRecord) -> None:
        """See `Discovery.put_agent`."""
        await self._run("put_agent", msgspec.json.encode(record))

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """See `Discovery.agent`."""
        return await self._get(f"podium:agents:{agent_id}", AgentRecord)

    async def agents(self, tenant_id: str | None, after: str | None, limit: int) -> list[AgentRecord]:
        """See `Discovery.agents`."""
        index = "podium:index:agents" if tenant_id is None else f"podium:index:agents:tenant_id:{tenant_id}"
        return _records(await self._run("page_by_id", index, "podium:agents:", after or "", limit), AgentRecord)

    async def remove_agent(self, agent_id: str) -> None:
        """See `Discovery.remove_agent`."""
        await self._run("remove_agent", agent_id)

    # ── leases ───────────────────────────────────────────────────────────────────────────────────────────────

    async def acquire_lease(self, agent_id: str, coordinator_id: str, above: int = 0) -> Lease | None:
        """See `Discovery.acquire_lease`. After the server was away, holders have the time of a lease to come back first."""
        epoch = await self._run("acquire", agent_id, coordinator_id, above, _LEASE_MS, _COORDINATOR_MS)
        return None if epoch is None else Lease(agent_id, coordinator_id, int(epoch))

    async def renew_leases(self, coordinator_id: str, held: dict[str, int]) -> list[str]:
        """See `Discovery.renew_leases`. One round trip, however many there are."""
        each = list(held.items())
        calls = [
            (self._now(), coordinator_id, _LEASE_MS, *(part for pair in each[start:end] for part in pair))
            for start in range(0, len(each), RENEWALS_IN_A_SCRIPT)
            for end in [start + RENEWALS_IN_A_SCRIPT]
        ]
        if not calls:
            return []
        answers = await self._link.run_each("renew", calls)
        return sorted(agent_id.decode() for lost in answers for agent_id in lost)

    async def lease(self, agent_id: str) -> Lease | None:
        """See `Discovery.lease`."""
        found = await self._get(f"podium:leases:{agent_id}", _HeldLease)
        # The key is gone with the lease; only a clock of a test's own may be ahead of the server.
        if found is None or (self._clock is not None and found.deadline <= self._clock.now_ms()):
            return None
        return Lease(agent_id, found.coordinator_id, found.epoch)

    async def release_lease(self, agent_id: str, coordinator_id: str, epoch: int) -> None:
        """See `Discovery.release_lease`."""
        await self._run("release", agent_id, coordinator_id, epoch)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def put_key(self, record: KeyRecord) -> None:
        """See `Discovery.put_key`."""
        await self._run("put_key", record.key_id, msgspec.json.encode(record))

    async def key(self, key_id: str) -> KeyRecord | None:
        """See `Discovery.key`."""
        return await self._get(f"podium:keys:{key_id}", KeyRecord)

    async def keys(self, after: str | None, limit: int) -> list[KeyRecord]:
        """See `Discovery.keys`."""
        return _records(
            await self._run("page_by_id", "podium:index:keys", "podium:keys:", after or "", limit), KeyRecord
        )

    async def remove_key(self, key_id: str) -> bool:
        """See `Discovery.remove_key`."""
        return bool(await self._run("remove_key", key_id, CHANNEL_KEYS_REVOKED, json.dumps({"key_id": key_id})))

    # ── secrets, configuration ───────────────────────────────────────────────────────────────────────────────

    async def set_secrets(self, tenant_id: str, agent_type: str, sealed: dict[str, str]) -> None:
        """See `Discovery.set_secrets`."""
        if sealed:
            pairs = [part for pair in sealed.items() for part in pair]
            await self._link.ask(("HSET", _secrets_key(tenant_id, agent_type), *pairs))

    async def secrets(self, tenant_id: str, agent_type: str) -> SecretsRecord | None:
        """See `Discovery.secrets`."""
        (parts,) = await self._link.ask(("HGETALL", _secrets_key(tenant_id, agent_type)))
        texts = [part.decode() for part in parts]
        sealed = dict(sorted(zip(texts[::2], texts[1::2], strict=True)))
        return SecretsRecord(tenant_id, agent_type, sealed) if sealed else None

    async def remove_secret(self, tenant_id: str, agent_type: str, name: str) -> bool:
        """See `Discovery.remove_secret`."""
        (removed,) = await self._link.ask(("HDEL", _secrets_key(tenant_id, agent_type), name))
        return bool(removed)

    async def config(self) -> ConfigRecord:
        """See `Discovery.config`."""
        ((config, version),) = await self._link.ask(("HMGET", "podium:config", "config", "version"))
        return ConfigRecord({}, 0) if config is None else ConfigRecord(json.loads(config), int(version))

    async def set_config(self, config: dict[str, Any]) -> ConfigRecord:
        """See `Discovery.set_config`."""
        for _ in range(CONFIG_ATTEMPTS):
            before = await self.config()
            after = ConfigRecord(config, before.version + 1)
            notice = {"version": after.version, "changes": config_changes(before.config, config)}
            if await self._run(
                "set_config", before.version, after.version, json.dumps(config), CHANNEL_CONFIG, json.dumps(notice)
            ):
                return ConfigRecord(json.loads(json.dumps(config)), after.version)
        raise DiscoveryUnavailableError("the configuration is being written by too many at once")

    # ── idempotency and rates ────────────────────────────────────────────────────────────────────────────────

    async def claim(
        self, tenant_id: str, key: str, fingerprint: str, plan: dict[str, Any], hold_seconds: float
    ) -> Claim:
        """See `Discovery.claim`."""
        hold = round(hold_seconds * 1000)
        mine, print_, stored_plan, answer, held_until = await self._run(
            "claim", _claim_key(tenant_id, key), fingerprint, json.dumps(plan), hold, IDEMPOTENCY_MEMORY_MS
        )
        return Claim(
            fingerprint=print_.decode(),
            plan=json.loads(stored_plan),
            answer=json.loads(answer) if answer else None,
            held_until=int(held_until),
            mine=bool(mine),
        )

    async def settle_claim(self, tenant_id: str, key: str, answer: dict[str, Any]) -> None:
        """See `Discovery.settle_claim`."""
        await self._run("settle_claim", _claim_key(tenant_id, key), json.dumps(answer))

    async def drop_claim(self, tenant_id: str, key: str) -> None:
        """See `Discovery.drop_claim`."""
        await self._run("drop_claim", _claim_key(tenant_id, key))

    async def take_token(self, bucket: str, per_second: float, burst: int) -> float:
        """See `Discovery.take_token`."""
        return float(await self._run("take_token", f"podium:ratelimit:{bucket}", per_second, burst, _BUCKET_MS))

    # ── spending ─────────────────────────────────────────────────────────────────────────────────────────────

    async def add_spending(
        self, tenant_id: str, day: str, micro_dollars: int, allowance: Allowance | None = None
    ) -> Spending:
        """See `Discovery.add_spending`."""
        new = msgspec.json.encode(allowance) if allowance is not None else ""
        in_day, in_month, in_force = await self._run(
            "add_spending", tenant_id, day, micro_dollars, _DAY_SUM_MS, _MONTH_SUM_MS, new
        )
        return Spending(
            int(in_day), int(in_month), msgspec.json.decode(in_force, type=Allowance) if in_force else Allowance()
        )

    # ── notices ──────────────────────────────────────────────────────────────────────────────────────────────

    async def publish(self, notice: Notice) -> None:
        """See `Discovery.publish`."""
        await self._link.ask(("PUBLISH", notice.channel, json.dumps(notice.payload)))

    def subscribe(self, *channels: str) -> Subscription:
        """See `Discovery.subscribe`. The connection is there from the start, so this needs no answer of the server; if it is
        lost, or not there yet, a missed notice comes when it is there.

        Raises:
            ValueError: there is no such channel.
        """
        return self._listener.subscribe(channels)

    # ── the whole ────────────────────────────────────────────────────────────────────────────────────────────

    async def check(self) -> None:
        """See `Discovery.check`. Writes, so that a server that takes no writes shows, and makes sure that notices are heard."""
        await self._link.ask(("SET", "podium:checked", "1", "PX", _COORDINATOR_MS))
        try:
            async with asyncio.timeout(self._link.call_seconds):
                await self._listener.up.wait()
        except TimeoutError:
            raise DiscoveryUnavailableError(f"{self._link.location}: notices can't be heard") from None

    async def close(self) -> None:
        """See `Discovery.close`."""
        self._listener.end()
        await self._tasks.close()
        await self._link.close()

    async def _get(self, key: str, kind: type[_Record]) -> _Record | None:
        (text,) = await self._link.ask(("GET", key))
        return None if text is None else msgspec.json.decode(text, type=kind)


def _records(texts: list[bytes], kind: type[_Record]) -> list[_Record]:
    return [msgspec.json.decode(text, type=kind) for text in texts]


def _secrets_key(tenant_id: str, agent_type: str) -> str:
    return f"podium:secrets:{tenant_id}:{agent_type}"


def _claim_key(tenant_id: str, key: str) -> str:
    return f"podium:idempotency:{tenant_id}:{key}"
