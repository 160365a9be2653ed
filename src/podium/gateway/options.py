"""What the gateway is told at start, beside where its ports are."""

from dataclasses import dataclass, field
from pathlib import Path

from podium.wire.budgets import Allowance
from podium.wire.rest import Model


@dataclass(frozen=True)
class DefaultLimits:
    """What a tenant may, unless its key says otherwise."""

    instances: int = 10_000
    """Alive at once."""
    deployments: int = 1_000
    messages_per_minute: int = 6_000
    """By REST; a tenth of it at once."""
    connections: int = 10_000
    """WebSockets on one gateway."""


@dataclass(frozen=True)
class GatewayOptions:
    """Frozen configuration of one gateway.

    Attributes:
        environment: name of this installation; first part of every key in the object store.
        cluster_key: credential the daemons share.
        admin_key: the first admin key; None: only stored keys open anything.
        upload_directory: where uploads wait on disk until they are checked.
        agent_environment: variables every instance sees; everything else wins over them.
        ensemble_url: service that lists models; None: `models` are listed.
        models: models as configured.
        tenant_limits: what a tenant may, unless its key says otherwise.
        tenant_allowance: what all agents of a tenant may spend, unless something was set for it.
        connections_max: how many WebSockets may be open at once.
        origins: origins whose pages may use the API (`podium.base.http.origins`).
        reattach_seconds: how long a stream waits for its coordinator before the client is told to reconnect.
    """

    environment: str
    cluster_key: str
    upload_directory: Path
    admin_key: str | None = None
    agent_environment: dict[str, str] = field(default_factory=dict)
    ensemble_url: str | None = None
    models: tuple[Model, ...] = ()
    tenant_limits: DefaultLimits = DefaultLimits()
    tenant_allowance: Allowance = field(default_factory=Allowance)
    connections_max: int = 20_000
    origins: tuple[str, ...] = ()
    reattach_seconds: float = 60.0
