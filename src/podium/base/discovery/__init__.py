"""Discovery: who is where, and what all daemons must agree on. Port, records and implementations."""

from podium.base.discovery.port import (
    AgentRecord,
    Claim,
    ConfigRecord,
    CoordinatorRecord,
    Discovery,
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

__all__ = [
    "AgentRecord",
    "Claim",
    "ConfigRecord",
    "CoordinatorRecord",
    "Discovery",
    "DiscoveryUnavailableError",
    "InstanceFilter",
    "InstanceRecord",
    "KeyRecord",
    "Lease",
    "Notice",
    "SecretsRecord",
    "Spending",
    "Subscription",
]
