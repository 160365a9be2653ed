"""The discovery port: records, promises, errors. Implementations: memory, embedded (SQLite, one host), Valkey.

Keys carry the prefix `podium:` in every implementation that has keys. A writer sees its own writes at once; other
processes see them at the latest after `PROPAGATION_SECONDS`. Everything may raise `DiscoveryUnavailableError`.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from podium.wire.budgets import Allowance
from podium.wire.rest import Load, TenantLimits
from podium.wire.status import InstanceStatus

PROPAGATION_SECONDS: Final = 1.0
"""Longest time until another process sees a write or hears a notice."""

COORDINATOR_TTL_SECONDS: Final = 6.0
"""A coordinator not renewed for this long is gone."""

COORDINATOR_RENEW_SECONDS: Final = 2.0
"""How often a coordinator renews itself."""

LEASE_TTL_SECONDS: Final = 10.0
"""A lease not renewed for this long may be taken by another coordinator."""

LEASE_RENEW_SECONDS: Final = 3.0
"""How often a coordinator renews its leases, all in one call."""

CHANNEL_CONFIG: Final = "framework.config_update"
CHANNEL_KEYS_REVOKED: Final = "keys.revoked"
CHANNEL_INSTANCES_MOVED: Final = "instances.moved"
CHANNELS: Final = (CHANNEL_CONFIG, CHANNEL_KEYS_REVOKED, CHANNEL_INSTANCES_MOVED)
"""All there are; one that is not among them may be refused with a `ValueError`."""


class DiscoveryUnavailableError(Exception):
    """Discovery can't be reached or written; what runs goes on, what needs agreement answers 503."""


class CoordinatorRecord(msgspec.Struct, frozen=True):
    """A coordinator that announced itself."""

    coordinator_id: str
    url: str
    version: str
    started_at: int
    state: Literal["active", "draining"]
    load: Load
    replicated: bool = False
    """Whether it brings agents' data outside its host, and goes on with agents whose host is gone."""


class InstanceRecord(msgspec.Struct, frozen=True):
    """Where an instance lives and what it is; written by its coordinator, read by gateways.

    `coordinator_id` empty: it is nobody's, whoever wants it takes it. `has_work`: a turn runs or waits, or a question has a
    deadline; when its host is lost, another goes on with it without being asked. `shown`: no client had seen a newer event when
    this was written; 0: it is not told.
    """

    instance_id: str
    agent_id: str
    tenant_id: str
    agent_type: str
    deployment_id: str
    coordinator_id: str
    epoch: int
    status: InstanceStatus
    created_at: int
    reason: str | None = None
    has_work: bool = False
    shown: int = 0


class InstanceFilter(msgspec.Struct, frozen=True):
    """Which instances a list wants; None = any."""

    tenant_id: str | None = None
    status: InstanceStatus | None = None
    agent_type: str | None = None
    agent_id: str | None = None
    deployment_id: str | None = None
    coordinator_id: str | None = None


class AgentRecord(msgspec.Struct, frozen=True):
    """A durable identity. `instance_id`: its newest instance, alive or not. `coordinator_id`: the host that has its data."""

    agent_id: str
    tenant_id: str
    agent_type: str
    last_deployment_id: str
    epoch: int
    created_at: int
    instance_id: str | None = None
    coordinator_id: str | None = None


class Lease(msgspec.Struct, frozen=True):
    """The right to run one agent. `epoch` only grows; a writer with an older epoch is refused."""

    agent_id: str
    coordinator_id: str
    epoch: int


class KeyRecord(msgspec.Struct, frozen=True):
    """A key: only the hash of its secret. `key_id` is the public prefix by which it is found."""

    key_id: str
    key_hash: str
    tenant_id: str
    permissions: list[str]
    created_at: int
    expires_at: int | None = None
    name: str | None = None
    limits: TenantLimits = TenantLimits()


class SecretsRecord(msgspec.Struct, frozen=True):
    """Secrets of a (tenant, agent type): name → sealed value (base64 of an AEAD box)."""

    tenant_id: str
    agent_type: str
    sealed: dict[str, str]


class ConfigRecord(msgspec.Struct, frozen=True):
    """The runtime layer of the configuration; `version` grows by one with every write."""

    config: dict[str, Any]
    version: int


class Claim(msgspec.Struct, frozen=True):
    """An `Idempotency-Key` in use. `plan` is what the first caller decided (so that whoever finishes it makes the same
    thing); `answer` is there once it is done. `held_until` (epoch ms): the holder must finish or renew by then."""

    fingerprint: str
    plan: dict[str, Any]
    answer: dict[str, Any] | None
    held_until: int
    mine: bool


class Notice(msgspec.Struct, frozen=True):
    """Something published. `missed`: nobody published this; notices of the channel may have been lost before it (the
    connection was), the payload is empty, and whoever depends on them reads the truth again."""

    channel: str
    payload: dict[str, Any]
    missed: bool = False


class Subscription(Protocol):
    """Notices as they come; an async iterator that ends when it or its discovery is closed."""

    def __aiter__(self) -> "Subscription":
        """Itself."""
        ...

    async def __anext__(self) -> Notice:
        """The next notice; waits until there is one."""
        ...

    async def aclose(self) -> None:
        """Ends the subscription, also for whoever waits for a notice right now."""
        ...


class Spending(NamedTuple):
    """What agents of a tenant spent in a day and its month, in millionths of a dollar, and what was set for the tenant."""

    day: int
    month: int
    allowance: Allowance


class Discovery(Protocol):
    """What daemons agree on. All times are epoch milliseconds given by the implementation's clock."""

    # coordinators
    async def announce(self, record: CoordinatorRecord) -> bool:
        """Writes or renews a coordinator for `COORDINATOR_TTL_SECONDS`.

        True: discovery did not know it any more, or may have lost what was written (it was away, emptied, set back to
        older data). The coordinator then renews its leases at once and writes its agents and instances again, in that
        order: nobody can ask for an agent that is not written.
        """
        ...

    async def withdraw(self, coordinator_id: str) -> None:
        """Removes a coordinator at once; unknown ones are fine."""
        ...

    async def coordinators(self) -> list[CoordinatorRecord]:
        """Those whose time has not run out, by id."""
        ...

    # instances and agents
    async def put_instances(self, records: Sequence[InstanceRecord]) -> None:
        """Writes the records, all or none; a record with a lower epoch than the stored one of that id is skipped."""
        ...

    async def instance(self, instance_id: str) -> InstanceRecord | None:
        """One instance, over or not; None when it never was or was removed."""
        ...

    async def instances(self, wanted: InstanceFilter, after: str | None, limit: int) -> list[InstanceRecord]:
        """Instances that match, newest first (by created_at, then id), after the cursor (an instance id)."""
        ...

    async def remove_instances(self, instance_ids: Sequence[str]) -> None:
        """Forgets instances."""
        ...

    async def put_agent(self, record: AgentRecord) -> None:
        """Writes an agent; a lower epoch than the stored one is skipped."""
        ...

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """One agent, None when there is none."""
        ...

    async def agents(self, tenant_id: str | None, after: str | None, limit: int) -> list[AgentRecord]:
        """Agents by id after the cursor (an agent id), of one tenant or of all."""
        ...

    async def remove_agent(self, agent_id: str) -> None:
        """Forgets an agent (its epoch is remembered, so that it still only grows)."""
        ...

    # leases
    async def acquire_lease(self, agent_id: str, coordinator_id: str, above: int = 0) -> Lease | None:
        """The lease with the next epoch; the holder's own lease again unchanged; None while another coordinator holds it.

        `above`: the highest epoch the caller knows of, from the agent's data or replica. A new epoch is higher than it
        also when discovery lost its own memory.
        """
        ...

    async def renew_leases(self, coordinator_id: str, held: dict[str, int]) -> list[str]:
        """Extends the leases `agent_id → epoch` in one call; returns the agents whose lease is no longer held.

        Epochs come from discovery alone. So one that is higher than what is stored proves that discovery was emptied or
        set back: the lease is then restored with it, and whoever was given a lower one meanwhile has lost.
        """
        ...

    async def lease(self, agent_id: str) -> Lease | None:
        """The lease somebody holds now; None when nobody does. It may end, or change hands, the moment after."""
        ...

    async def release_lease(self, agent_id: str, coordinator_id: str, epoch: int) -> None:
        """Gives a lease back; one that is not held is left alone."""
        ...

    # keys
    async def put_key(self, record: KeyRecord) -> None:
        """Writes a key."""
        ...

    async def key(self, key_id: str) -> KeyRecord | None:
        """The key with this public prefix."""
        ...

    async def keys(self, after: str | None, limit: int) -> list[KeyRecord]:
        """Keys by id after the cursor."""
        ...

    async def remove_key(self, key_id: str) -> bool:
        """Removes a key and publishes `keys.revoked {key_id}`; False when there was none."""
        ...

    # secrets, configuration
    async def set_secrets(self, tenant_id: str, agent_type: str, sealed: dict[str, str]) -> None:
        """Adds or replaces the named secrets, leaving the others."""
        ...

    async def secrets(self, tenant_id: str, agent_type: str) -> SecretsRecord | None:
        """All secrets of a type."""
        ...

    async def remove_secret(self, tenant_id: str, agent_type: str, name: str) -> bool:
        """Removes one; False when there was none."""
        ...

    async def config(self) -> ConfigRecord:
        """The runtime layer (empty, version 0, at first)."""
        ...

    async def set_config(self, config: dict[str, Any]) -> ConfigRecord:
        """Replaces the runtime layer and publishes `framework.config_update {version, changes}` (top-level keys that differ)."""
        ...

    # idempotency and rates
    async def claim(
        self, tenant_id: str, key: str, fingerprint: str, plan: dict[str, Any], hold_seconds: float
    ) -> Claim:
        """Claims a key for 24 h. `mine` is true for the first caller and for one that takes over after `held_until`
        passed without an answer; the stored plan is returned to everyone."""
        ...

    async def settle_claim(self, tenant_id: str, key: str, answer: dict[str, Any]) -> None:
        """Stores the answer of a claim."""
        ...

    async def drop_claim(self, tenant_id: str, key: str) -> None:
        """Frees a claim whose work failed without effect, so that the key may be used again."""
        ...

    async def take_token(self, bucket: str, per_second: float, burst: int) -> float:
        """Takes one token; 0.0 when it was there, else the seconds until one will be."""
        ...

    # spending
    async def add_spending(
        self, tenant_id: str, day: str, micro_dollars: int, allowance: Allowance | None = None
    ) -> Spending:
        """Adds what agents of a tenant spent on `day` (`2026-11-21`, UTC); answers what all hosts added for that day and its month.
        0 only asks. Sums of months that are over are forgotten. `allowance` is set for the tenant from now on, None: it stays."""
        ...

    # notices
    async def publish(self, notice: Notice) -> None:
        """Tells every subscriber of every process."""
        ...

    def subscribe(self, *channels: str) -> Subscription:
        """Notices from the moment of the call on, until the iterator is closed. Delivery is best effort: read the truth
        again. Where some may have been lost, one comes that says so (`Notice.missed`). `channels` are of `CHANNELS`. What
        was published just before the call may be heard, too."""
        ...

    async def check(self) -> None:
        """Raises `DiscoveryUnavailableError` when discovery can't be used now."""
        ...

    async def close(self) -> None:
        """Frees what the implementation holds; ends all subscriptions."""
        ...
