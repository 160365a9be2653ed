"""All routes of the gateway, and the application they make."""

from podium.base.discovery import DiscoveryUnavailableError
from podium.base.http import Endpoint, HttpApp, counting
from podium.base.objects import ObjectStoreUnavailableError
from podium.gateway.adapters.models import Models
from podium.gateway.api.agents import Agents
from podium.gateway.api.budgets import Budgets
from podium.gateway.api.config import Config
from podium.gateway.api.conversation import Conversation
from podium.gateway.api.deployments import Deployments
from podium.gateway.api.files import Files
from podium.gateway.api.forwarding import Forwarder
from podium.gateway.api.hosts import Hosts
from podium.gateway.api.instances import Instances
from podium.gateway.api.keys import Keys
from podium.gateway.api.moments import Moments
from podium.gateway.api.platform import Platform
from podium.gateway.api.secrets import Secrets
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError

RETRY_SECONDS = 1.0
"""`Retry-After` when discovery or the object store does not answer."""


def make_app(parts: Parts) -> HttpApp:
    """The REST application of a gateway."""
    return HttpApp(
        all_endpoints(parts), parts.callers, translate=translate, observe=counting(parts.metrics), clock=parts.clock
    )


def translate(error: Exception) -> PodiumError | None:
    """What the errors of the ports mean to a caller."""
    if isinstance(error, DiscoveryUnavailableError | ObjectStoreUnavailableError):
        return PodiumError(
            ErrorCode.REGISTRY_UNAVAILABLE, "the registry does not answer now", retry_after=RETRY_SECONDS
        )
    return None


def all_endpoints(parts: Parts) -> list[Endpoint]:
    """Every route, in the order of the document, which is one of them."""
    platform = Platform(parts)
    endpoints = [*_endpoints(parts), *platform.endpoints()]
    platform.describe(endpoints)
    return endpoints


def _endpoints(parts: Parts) -> list[Endpoint]:
    forwarder = Forwarder(parts)
    models = Models(parts.options.ensemble_url, parts.options.models, parts.clock)
    return [
        *Deployments(parts).endpoints(),
        *Instances(parts, forwarder).endpoints(),
        *Conversation(parts, forwarder).endpoints(),
        *Agents(parts).endpoints(),
        *Moments(parts, forwarder).endpoints(),
        *Budgets(parts, forwarder).endpoints(),
        *Files(parts).endpoints(),
        *Secrets(parts).endpoints(),
        *Config(parts, models).endpoints(),
        *Keys(parts).endpoints(),
        *Hosts(parts, forwarder).endpoints(),
    ]
