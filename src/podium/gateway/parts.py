"""What the routes of the gateway work with, made once at start."""

from dataclasses import dataclass

from podium.base.clock import Clock
from podium.base.discovery import Discovery
from podium.base.entropy import IdSource
from podium.base.metrics import Metrics
from podium.base.tasks import TaskOwner
from podium.gateway.adapters.callers import Callers
from podium.gateway.adapters.coordinators import Coordinators
from podium.gateway.adapters.homes import Homes
from podium.gateway.adapters.quotas import Quotas
from podium.gateway.adapters.registry import Registry
from podium.gateway.adapters.resolver import Resolver
from podium.gateway.adapters.vault import SecretVault
from podium.gateway.options import GatewayOptions


@dataclass(frozen=True)
class Parts:
    """Collaborators of the routes."""

    options: GatewayOptions
    discovery: Discovery
    registry: Registry
    coordinators: Coordinators
    homes: Homes
    resolver: Resolver
    callers: Callers
    vault: SecretVault
    quotas: Quotas
    metrics: Metrics
    clock: Clock
    new_id: IdSource
    background: TaskOwner
