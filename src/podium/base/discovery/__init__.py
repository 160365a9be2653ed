"""Discovery: who is where, and what all daemons must agree on. Port, records and implementations."""

from podium.base.discovery.port import (
    AgentRecord as AgentRecord,
    Claim as Claim,
    ConfigRecord as ConfigRecord,
    CoordinatorRecord as CoordinatorRecord,
    Discovery as Discovery,
    DiscoveryUnavailableError as DiscoveryUnavailableError,
    InstanceFilter as InstanceFilter,
    InstanceRecord as InstanceRecord,
    KeyRecord as KeyRecord,
    Lease as Lease,
    Notice as Notice,
    SecretsRecord as SecretsRecord,
    Subscription as Subscription,
)
