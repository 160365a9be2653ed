"""What the gateway is told at start, beside where its ports are."""

from dataclasses import dataclass, field
from pathlib import Path

from podium.wire.rest import Model


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
        messages_per_second: how fast a tenant may send messages over REST, on average.
        messages_burst: how many at once.
        instances_per_tenant: how many instances a tenant may have alive.
        connections_max: how many WebSockets may be open at once.
        reattach_seconds: how long a stream waits for its coordinator before the client is told to reconnect.
    """

    environment: str
    cluster_key: str
    upload_directory: Path
    admin_key: str | None = None
    agent_environment: dict[str, str] = field(default_factory=dict)
    ensemble_url: str | None = None
    models: tuple[Model, ...] = ()
    messages_per_second: float = 100.0
    messages_burst: int = 200
    instances_per_tenant: int = 10_000
    connections_max: int = 20_000
    reattach_seconds: float = 60.0
