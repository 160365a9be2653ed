"""An ASGI application made of endpoints: routes, authenticates, reads, calls, answers; every failure is a problem."""

import asyncio
import logging
import math
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from podium.base import telemetry
from podium.base.clock import Clock, SystemClock
from podium.base.http import audit
from podium.base.http.call import Answer, Call, ClientGoneError, Headers, Receive, Send, Streamed
from podium.base.http.endpoint import PUBLIC, Access, Endpoint
from podium.base.http.identity import Identity, require
from podium.base.http.reading import check_json_type, decode_json, read_body, read_query
from podium.base.http.routes import MethodNotAllowedError, Routes
from podium.base.http.streaming import Streams, close_source
from podium.base.logs import instance_id as current_instance_id
from podium.base.logs import request_id as current_request_id
from podium.base.metrics import Metrics
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import REQUEST_BODY_MAX_BYTES

PROBLEM_JSON: Final = "application/problem+json"

FIRST_SERVER_ERROR: Final = 500

_TRACED: Final = frozenset({"instance_id", "agent_id", "turn_id", "deployment_id", "coordinator_id"})
"""Parts of a path that name whom a request is about; others (paths of files) are contents, and in no trace."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_log = logging.getLogger(__name__)


class Authenticator(Protocol):
    """Tells who calls."""

    async def __call__(self, access: Access, headers: Mapping[str, str]) -> Identity:
        """The caller; for a public route `NOBODY`.

        Raises:
            PodiumError: `unauthenticated`.
        """
        ...


Translate = Callable[[Exception], PodiumError | None]
"""What an exception of the parts below means to a caller; None: a bug of ours."""

Observe = Callable[[Endpoint | None, str, int, float], None]
"""Told of every answered request: endpoint (None when there was none), method, status, seconds."""


def untranslated(_error: Exception) -> None:
    """Translates nothing."""


def unobserved(_endpoint: Endpoint | None, _method: str, _status: int, _seconds: float) -> None:
    """Looks away."""


def counting(metrics: Metrics) -> Observe:
    """Puts what it is told into metrics, by route."""

    def observe(endpoint: Endpoint | None, method: str, status: int, seconds: float) -> None:
        route = endpoint.path if endpoint is not None else "none"
        metrics.add("requests_total", method=method if endpoint is not None else "any", route=route, status=str(status))
        metrics.observe("request_seconds", seconds, route=route)

    return observe


class HttpApp:
    """The application. `authenticate` knows callers, `translate` knows the errors of ports (discovery, object store)."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        authenticate: Authenticator,
        *,
        translate: Translate = untranslated,
        observe: Observe = unobserved,
        clock: Clock | None = None,
    ) -> None:
        self.endpoints = tuple(endpoints)
        self._routes = Routes(self.endpoints)
        self._decoders = {
            id(endpoint): msgspec.json.Decoder(endpoint.body) for endpoint in self.endpoints if endpoint.reads_json
        }
        self._authenticate = authenticate
        self._translate = translate
        self._observe = observe
        self._clock = clock or SystemClock()
        self._streams = Streams()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answers one request (ASGI)."""
        if scope["type"] != "http":
            return
        started = self._clock.monotonic()
        headers = Headers(scope["headers"])
        exchange = _Exchange(scope, headers, request_id_of(headers))
        current_request_id.set(exchange.request_id)
        telemetry.current.set(telemetry.accepted(headers))
        try:
            outcome = await self._answer(exchange, receive)
            exchange.answered(outcome.status)
            if exchange.endpoint is not None and exchange.endpoint.audited:
                audit.record(exchange.endpoint.name, exchange.identity, exchange.path, outcome.status)
            await self._deliver(exchange, outcome, receive, send)
        except ClientGoneError:
            return
        finally:
            exchange.span.end()
        seconds = self._clock.monotonic() - started
        self._observe(exchange.endpoint, exchange.method, outcome.status, seconds)
        _log_request(exchange, outcome.status, seconds)

    async def close(self) -> None:
        """Ends the streams that are under way; other requests finish by themselves."""
        await self._streams.close()

    async def _answer(self, exchange: "_Exchange", receive: Receive) -> Answer | Streamed:
        try:
            return await self._handled(exchange, receive)
        except PodiumError as error:
            return problem_answer(error, exchange.request_id)
        except (ClientGoneError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: whatever else happens is a 500 without detail
            return problem_answer(self._translated(error, exchange), exchange.request_id)

    async def _handled(self, exchange: "_Exchange", receive: Receive) -> Answer | Streamed:
        endpoint, path = self._routes.match(exchange.method, exchange.scope["raw_path"])
        exchange.routed(endpoint, path)
        identity = exchange.identity = await self._authenticate(endpoint.access, exchange.headers)
        require(identity, endpoint.access)
        call = Call(endpoint, exchange.headers, identity, exchange.request_id)
        call.path, call.receive, call.query_string = (path, receive, exchange.scope["query_string"])
        if endpoint.query is not None:
            call.query = read_query(call.query_string, endpoint.query)
        if endpoint.reads_json:
            await self._read_json(call, receive)
        return _as_outcome(endpoint, await endpoint.handler(call))

    async def _read_json(self, call: Call, receive: Receive) -> None:
        check_json_type(call.headers)
        call.raw = await read_body(call.headers, receive, REQUEST_BODY_MAX_BYTES)
        call.body = decode_json(call.raw, self._decoders[id(call.endpoint)])

    def _translated(self, error: Exception, exchange: "_Exchange") -> PodiumError:
        known = self._translate(error)
        if known is not None:
            return known
        _log.error("request_failed", extra=exchange.facts(), exc_info=error)
        return PodiumError(ErrorCode.INTERNAL, "something went wrong; the request id finds it in our log")

    async def _deliver(self, exchange: "_Exchange", outcome: Answer | Streamed, receive: Receive, send: Send) -> None:
        head = {**outcome.headers, "x-request-id": exchange.request_id}
        if isinstance(outcome, Streamed) and exchange.method == "HEAD":
            await close_source(outcome.chunks)
            await send({"type": "http.response.start", "status": outcome.status, "headers": _raw(head)})
            await send({"type": "http.response.body", "body": b""})
            return
        if isinstance(outcome, Streamed):
            await self._streams.run(outcome, head, receive, send)
            return
        body = outcome.encoded()
        if body or outcome.status not in {204, 304}:
            head["content-length"] = str(len(body))
        if body:
            head["content-type"] = outcome.content_type
        await send({"type": "http.response.start", "status": outcome.status, "headers": _raw(head)})
        await send({"type": "http.response.body", "body": body})


class _Exchange:
    """What is known of a request from its first byte on."""

    def __init__(self, scope: Any, headers: Headers, request_id: str) -> None:
        self.scope = scope
        self.headers = headers
        self.request_id = request_id
        self.method: str = scope["method"]
        self.endpoint: Endpoint | None = None
        self.identity: Identity | None = None
        self.path: Mapping[str, Any] = {}
        self.span = telemetry.Span("")

    def routed(self, endpoint: Endpoint, path: Mapping[str, Any]) -> None:
        """Its endpoint is known: from here on its trace and its log records name what it is about. Probes have no trace."""
        self.endpoint, self.path = endpoint, path
        if "instance_id" in path:
            current_instance_id.set(str(path["instance_id"]))
        if endpoint.access is PUBLIC:
            return
        facts = {
            "http.request.method": self.method,
            "http.route": endpoint.path,
            "podium.request_id": self.request_id,
            **{f"podium.{name}": str(value) for name, value in path.items() if name in _TRACED},
        }
        self.span = telemetry.begin(f"{self.method} {endpoint.path}", kind="server", attributes=facts)
        telemetry.current.set(self.span.traceparent)

    def answered(self, status: int) -> None:
        """Its answer is known."""
        self.span.set({"http.response.status_code": status})
        if status >= FIRST_SERVER_ERROR:
            self.span.fail(str(status))

    def facts(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "route": self.endpoint.path if self.endpoint else None,
            "request_id": self.request_id,
        }


def request_id_of(headers: Mapping[str, str]) -> str:
    """The caller's `X-Request-Id` when it is a sane one, else a fresh one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def problem_answer(error: PodiumError, request_id: str) -> Answer:
    """The error as a REST answer."""
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    elif error.mapping.status in {429, 503}:
        headers["retry-after"] = "1"
    if isinstance(error, MethodNotAllowedError):
        headers["allow"] = ", ".join(error.allowed)
    if error.code is ErrorCode.UNAUTHENTICATED:
        headers["www-authenticate"] = 'Bearer realm="podium"'
    return Answer(error.mapping.status, error.problem(request_id), headers, PROBLEM_JSON)


def _as_outcome(endpoint: Endpoint, result: Any) -> Answer | Streamed:
    if isinstance(result, Answer | Streamed):
        return result
    return Answer(204 if result is None and endpoint.answers.get(204, 0) is None else endpoint.status, result)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


def _log_request(exchange: _Exchange, status: int, seconds: float) -> None:
    quiet = exchange.endpoint is not None and exchange.endpoint.access is PUBLIC
    facts = {**exchange.facts(), "status": status, "ms": round(seconds * 1000, 1)}
    _log.log(logging.DEBUG if quiet else logging.INFO, "http_request", extra=facts)
