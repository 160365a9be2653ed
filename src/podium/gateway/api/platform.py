"""Routes about the gateway itself: alive, ready, metrics, its document."""

import msgspec

from podium import __version__
from podium.base.discovery import DiscoveryUnavailableError
from podium.base.http import HTML, PUBLIC, Answer, Call, Endpoint, HeaderParam, Info, Media, docs_page, openapi
from podium.base.metrics import CONTENT_TYPE
from podium.base.objects import ObjectStoreUnavailableError
from podium.gateway.parts import Parts
from podium.wire.errors import as_json
from podium.wire.rest import Health, Ready

TAG = "platform"
_TEXT = Media("text/plain")
_DOCUMENT = Media("application/json", {"type": "object"})

ABOUT = Info(
    "Podium",
    __version__,
    "Deploys and runs AI agents. Lists are paginated by `limit` and `cursor`; times are epoch milliseconds; errors are "
    "`application/problem+json`. The stream is a WebSocket at `/api/v1/instances/{instance_id}/connect`.",
    "A tenant key (`pod_…`) or an admin key (`pod_admin_…`)",
)

ACTS_FOR = HeaderParam(
    "Podium-Tenant",
    "The tenant an admin key acts for",
    {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"},
)


class Platform:
    """Routes anyone may ask."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._json = b""
        self._page = b""

    def describe(self, endpoints: list[Endpoint]) -> None:
        """Makes the document of all endpoints."""
        document = openapi(endpoints, ABOUT, key_headers=(ACTS_FOR,))
        self._json = msgspec.json.format(as_json(document), indent=1)
        self._page = docs_page(document).encode()

    async def health(self, _call: Call) -> Health:
        """Alive."""
        return Health("ok", __version__)

    async def ready(self, _call: Call) -> Answer:
        """Whether what the gateway needs answers."""
        failing: list[str] = []
        try:
            await self._parts.discovery.check()
        except DiscoveryUnavailableError:
            failing.append("discovery")
        try:
            await self._parts.registry.check()
        except ObjectStoreUnavailableError:
            failing.append("objects")
        return Answer(503 if failing else 200, Ready("not_ready" if failing else "ready", failing))

    async def metrics(self, _call: Call) -> Answer:
        """Prometheus text."""
        return Answer(200, self._parts.metrics.page().encode(), {}, CONTENT_TYPE)

    async def document(self, _call: Call) -> Answer:
        """The OpenAPI document."""
        return Answer(200, self._json)

    async def docs(self, _call: Call) -> Answer:
        """The document to read."""
        return Answer(200, self._page, {"content-security-policy": _POLICY}, "text/html; charset=utf-8")

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        return [
            Endpoint(
                method="GET",
                path="/health",
                handler=self.health,
                tag=TAG,
                access=PUBLIC,
                summary="Alive?",
                answers={200: Health},
            ),
            Endpoint(
                method="GET",
                path="/ready",
                handler=self.ready,
                tag=TAG,
                access=PUBLIC,
                summary="Ready? If not, what fails",
                answers={200: Ready, 503: Ready},
            ),
            Endpoint(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                tag=TAG,
                access=PUBLIC,
                summary="Metrics in the Prometheus text format",
                answers={200: _TEXT},
            ),
            Endpoint(
                method="GET",
                path="/openapi.json",
                handler=self.document,
                tag=TAG,
                access=PUBLIC,
                summary="This document",
                answers={200: _DOCUMENT},
            ),
            Endpoint(
                method="GET",
                path="/docs",
                handler=self.docs,
                tag=TAG,
                access=PUBLIC,
                summary="This document as a page",
                answers={200: HTML},
            ),
        ]


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
