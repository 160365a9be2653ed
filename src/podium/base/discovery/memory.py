"""Discovery inside one process, for tests and for a daemon that runs alone in memory. Nothing outlives it."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

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
from podium.base.discovery.rules import (
    StoredClaim,
    StoredLease,
    claimed,
    config_changes,
    held_lease,
    month_of,
    new_claim,
    next_lease,
    renewed_lease,
    token_taken,
)
from podium.base.discovery.subscription import Subscribers
from podium.wire.budgets import Allowance


class MemoryDiscovery:
    """The port over dictionaries. Share one object between the parts that should see each other.

    `available = False` makes every call fail as if discovery could not be reached.
    """

    def __init__(self, clock: Clock) -> None:
        self.available = True
        self._clock = clock
        self._subscribers = Subscribers()
        self._coordinators: dict[str, tuple[CoordinatorRecord, float]] = {}
        self._instances: dict[str, InstanceRecord] = {}
        self._agents: dict[str, AgentRecord] = {}
        self._leases: dict[str, StoredLease] = {}
        self._keys: dict[str, KeyRecord] = {}
        self._secrets: dict[tuple[str, str], dict[str, str]] = {}
        self._config = ConfigRecord({}, 0)
        self._claims: dict[tuple[str, str], StoredClaim] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._spending: dict[tuple[str, str], int] = {}
        self._allowances: dict[str, Allowance] = {}

    async def announce(self, record: CoordinatorRecord) -> bool:
        """See `Discovery.announce`."""
        await self.check()
        now = self._clock.monotonic()
        _, deadline = self._coordinators.get(record.coordinator_id, (None, now))
        self._coordinators[record.coordinator_id] = (record, now + COORDINATOR_TTL_SECONDS)
        return deadline <= now

    async def withdraw(self, coordinator_id: str) -> None:
        """See `Discovery.withdraw`."""
        await self.check()
        self._coordinators.pop(coordinator_id, None)

    async def coordinators(self) -> list[CoordinatorRecord]:
        """See `Discovery.coordinators`."""
        await self.check()
        now = self._clock.monotonic()
        return [record for _, (record, deadline) in sorted(self._coordinators.items()) if deadline > now]

    async def put_instances(self, records: Sequence[InstanceRecord]) -> None:
        """See `Discovery.put_instances`."""
        await self.check()
        for record in records:
            stored = self._instances.get(record.instance_id)
            if stored is None or stored.epoch <= record.epoch:
                self._instances[record.instance_id] = record

    async def instance(self, instance_id: str) -> InstanceRecord | None:
        """See `Discovery.instance`."""
        await self.check()
        return self._instances.get(instance_id)

    async def instances(self, wanted: InstanceFilter, after: str | None, limit: int) -> list[InstanceRecord]:
        """See `Discovery.instances`."""
        await self.check()
        cursor = None if after is None else self._instances.get(after)
        if after is not None and cursor is None:
            return []
        found: Iterable[InstanceRecord] = (r for r in self._instances.values() if _matches(r, wanted))
        if cursor is not None:
            found = [r for r in found if _age_order(r) < _age_order(cursor)]
        return sorted(found, key=_age_order, reverse=True)[:limit]

    async def remove_instances(self, instance_ids: Sequence[str]) -> None:
        """See `Discovery.remove_instances`."""
        await self.check()
        for instance_id in instance_ids:
            self._instances.pop(instance_id, None)

    async def put_agent(self, record: AgentRecord) -> None:
        """See `Discovery.put_agent`."""
        await self.check()
        stored = self._agents.get(record.agent_id)
        if stored is None or stored.epoch <= record.epoch:
            self._agents[record.agent_id] = record

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """See `Discovery.agent`."""
        await self.check()
        return self._agents.get(agent_id)

    async def agents(self, tenant_id: str | None, after: str | None, limit: int) -> list[AgentRecord]:
        """See `Discovery.agents`."""
        await self.check()
        found = (
            record
            for agent_id, record in sorted(self._agents.items())
            if (after is None or agent_id > after) and tenant_id in (None, record.tenant_id)
        )
        return list(found)[:limit]

    async def remove_agent(self, agent_id: str) -> None:
        """See `Discovery.remove_agent`."""
        await self.check()
        record = self._agents.pop(agent_id, None)
        if record is None:
            return
        stored = self._leases.get(agent_id, StoredLease(None, 0, 0.0))
        self._leases[agent_id] = stored._replace(epoch=max(stored.epoch, record.epoch))

    async def acquire_lease(self, agent_id: str, coordinator_id: str, above: int = 0) -> Lease | None:
        """See `Discovery.acquire_lease`."""
        await self.check()
        known = max(above, self._agent_epoch(agent_id))
        lease = next_lease(self._leases.get(agent_id), known, coordinator_id, self._clock.monotonic())
        if lease is None:
            return None
        self._leases[agent_id] = lease
        return Lease(agent_id, coordinator_id, lease.epoch)

    async def renew_leases(self, coordinator_id: str, held: dict[str, int]) -> list[str]:
        """See `Discovery.renew_leases`."""
        await self.check()
        deadline = self._clock.monotonic() + LEASE_TTL_SECONDS
        lost = []
        for agent_id, epoch in held.items():
            wanted = StoredLease(coordinator_id, epoch, deadline)
            lease = renewed_lease(self._leases.get(agent_id), self._agent_epoch(agent_id), wanted)
            if lease is None:
                lost.append(agent_id)
            else:
                self._leases[agent_id] = lease
        return lost

    def _agent_epoch(self, agent_id: str) -> int:
        record = self._agents.get(agent_id)
        return record.epoch if record else 0

    async def lease(self, agent_id: str) -> Lease | None:
        """See `Discovery.lease`."""
        await self.check()
        return held_lease(agent_id, self._leases.get(agent_id), self._clock.monotonic())

    async def release_lease(self, agent_id: str, coordinator_id: str, epoch: int) -> None:
        """See `Discovery.release_lease`."""
        await self.check()
        stored = self._leases.get(agent_id)
        if stored is not None and (stored.coordinator_id, stored.epoch) == (coordinator_id, epoch):
            self._leases[agent_id] = stored._replace(coordinator_id=None)

    async def put_key(self, record: KeyRecord) -> None:
        """See `Discovery.put_key`."""
        await self.check()
        self._keys[record.key_id] = record

    async def key(self, key_id: str) -> KeyRecord | None:
        """See `Discovery.key`."""
        await self.check()
        return self._keys.get(key_id)

    async def keys(self, after: str | None, limit: int) -> list[KeyRecord]:
        """See `Discovery.keys`."""
        await self.check()
        return [record for key_id, record in sorted(self._keys.items()) if after is None or key_id > after][:limit]

    async def remove_key(self, key_id: str) -> bool:
        """See `Discovery.remove_key`."""
        await self.check()
        if self._keys.pop(key_id, None) is None:
            return False
        await self.publish(Notice(CHANNEL_KEYS_REVOKED, {"key_id": key_id}))
        return True

    async def set_secrets(self, tenant_id: str, agent_type: str, sealed: dict[str, str]) -> None:
        """See `Discovery.set_secrets`."""
        await self.check()
        if sealed:
            self._secrets.setdefault((tenant_id, agent_type), {}).update(sealed)

    async def secrets(self, tenant_id: str, agent_type: str) -> SecretsRecord | None:
        """See `Discovery.secrets`."""
        await self.check()
        sealed = self._secrets.get((tenant_id, agent_type))
        return SecretsRecord(tenant_id, agent_type, dict(sorted(sealed.items()))) if sealed else None

    async def remove_secret(self, tenant_id: str, agent_type: str, name: str) -> bool:
        """See `Discovery.remove_secret`."""
        await self.check()
        return self._secrets.get((tenant_id, agent_type), {}).pop(name, None) is not None

    async def config(self) -> ConfigRecord:
        """See `Discovery.config`."""
        await self.check()
        return copy.deepcopy(self._config)

    async def set_config(self, config: dict[str, Any]) -> ConfigRecord:
        """See `Discovery.set_config`."""
        await self.check()
        changes = config_changes(self._config.config, config)
        self._config = ConfigRecord(copy.deepcopy(config), self._config.version + 1)
        await self.publish(Notice(CHANNEL_CONFIG, {"version": self._config.version, "changes": changes}))
        return copy.deepcopy(self._config)

    async def claim(
        self, tenant_id: str, key: str, fingerprint: str, plan: dict[str, Any], hold_seconds: float
    ) -> Claim:
        """See `Discovery.claim`."""
        await self.check()
        now = self._clock.now_ms()
        asked = new_claim(fingerprint, copy.deepcopy(plan), hold_seconds, now)
        stored, mine = claimed(self._claims.get((tenant_id, key)), asked, now)
        self._claims[tenant_id, key] = stored
        return copy.deepcopy(stored.seen(mine=mine))

    async def settle_claim(self, tenant_id: str, key: str, answer: dict[str, Any]) -> None:
        """See `Discovery.settle_claim`."""
        await self.check()
        stored = self._claims.get((tenant_id, key))
        if stored is not None and stored.answer is None:
            self._claims[tenant_id, key] = stored._replace(answer=copy.deepcopy(answer))

    async def drop_claim(self, tenant_id: str, key: str) -> None:
        """See `Discovery.drop_claim`."""
        await self.check()
        stored = self._claims.get((tenant_id, key))
        if stored is not None and stored.answer is None:
            del self._claims[tenant_id, key]

    async def take_token(self, bucket: str, per_second: float, burst: int) -> float:
        """See `Discovery.take_token`."""
        await self.check()
        now = self._clock.monotonic()
        tokens, refilled = self._buckets.get(bucket, (float(burst), now))
        left, wait = token_taken(tokens, now - refilled, per_second, burst)
        self._buckets[bucket] = (left, now)
        return wait

    async def add_spending(
        self, tenant_id: str, day: str, micro_dollars: int, allowance: Allowance | None = None
    ) -> Spending:
        """See `Discovery.add_spending`."""
        await self.check()
        month = month_of(day)
        self._spending = {key: spent for key, spent in self._spending.items() if key[1] >= month}
        for period in (day, month):
            self._spending[tenant_id, period] = self._spending.get((tenant_id, period), 0) + micro_dollars
        if allowance is not None:
            self._allowances[tenant_id] = allowance
        in_force = self._allowances.get(tenant_id, Allowance())
        return Spending(self._spending[tenant_id, day], self._spending[tenant_id, month], in_force)

    async def publish(self, notice: Notice) -> None:
        """See `Discovery.publish`."""
        await self.check()
        self._subscribers.give(copy.deepcopy(notice))

    def subscribe(self, *channels: str) -> Subscription:
        """See `Discovery.subscribe`."""
        return self._subscribers.add(channels)

    async def check(self) -> None:
        """See `Discovery.check`."""
        if not self.available:
            raise DiscoveryUnavailableError("discovery is switched off")

    async def close(self) -> None:
        """See `Discovery.close`."""
        self.available = False
        self._subscribers.end()


def _matches(record: InstanceRecord, wanted: InstanceFilter) -> bool:
    return all(getattr(wanted, field) in (None, getattr(record, field)) for field in InstanceFilter.__struct_fields__)


def _age_order(record: InstanceRecord) -> tuple[int, str]:
    return (record.created_at, record.instance_id)
