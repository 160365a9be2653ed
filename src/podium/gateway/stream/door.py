"""Where streams come in: who may, to which coordinator, and who must leave."""

import asyncio
import contextlib
import logging
from typing import Final

from podium.base import telemetry
from podium.base.discovery import DiscoveryUnavailableError
from podium.base.discovery.port import CHANNEL_KEYS_REVOKED
from podium.base.http import Headers, Identity, Upgrade, bearer_of, cluster_headers, request_id_of
from podium.base.http.identity import TENANT_HEADER, require
from podium.base.http.refusing import Refusal
from podium.base.logs import instance_id, request_id
from podium.base.tasks import TaskOwner
from podium.gateway.adapters.coordinators import away
from podium.gateway.domain.handshake import Answered, Dialing, Opening, read_opening
from podium.gateway.parts import Parts
from podium.gateway.stream.connection import Connection
from podium.gateway.stream.upstream import Upstream, address_of
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import PEER_SILENT_SECONDS
from podium.wire.rest import Permission
from podium.wire.status import InstanceStatus

CHECK_SECONDS: Final = 10.0
"""How often connections are looked at for silence."""

CHECKED_AT_ONCE: Final = 100
"""Connections looked at before others have their turn."""

KEYS_SECONDS: Final = 2.0
"""How often the keys of open connections are looked up again, should a notice have been lost."""

SHUTDOWN_SECONDS: Final = 1.5
"""How long clients have to answer the goodbye of a gateway that stops."""

_NOT_FOUND: Final = frozenset({ErrorCode.INSTANCE_NOT_FOUND, ErrorCode.NOT_FOUND})

_log = logging.getLogger(__name__)


class Door:
    """All streams of a gateway."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._owner = TaskOwner("door")
        self._connections: dict[Connection, _Visit] = {}
        self._closing = False
        parts.metrics.watch("connections", lambda: len(self._connections))
        parts.metrics.watch("proxy_buffered_bytes", lambda: sum(each.buffered for each in self._connections))
        parts.metrics.watch("proxy_stalled", lambda: sum(each.is_stalled for each in self._connections))

    def __len__(self) -> int:
        return len(self._connections)

    def enter(self, upgrade: Upgrade) -> asyncio.Protocol:
        """The protocol that takes a WebSocket request over."""
        headers = Headers(upgrade.headers)
        protocols = b",".join(value for name, value in upgrade.headers if name == b"sec-websocket-protocol")
        try:
            opening = read_opening(
                upgrade.method, upgrade.raw_path, upgrade.query_string, headers, protocols.decode("latin-1")
            )
        except PodiumError as error:
            return Refusal(error, request_id_of(headers))
        if self._closing:
            return Refusal(PodiumError(ErrorCode.DRAINING, "the gateway stops"), request_id_of(headers))
        visit = _Visit(self, self._parts, opening, headers)
        connection = Connection(opening, visit, self._parts.clock, self._owner)
        self._connections[connection] = visit
        self._parts.metrics.add("connections_opened_total")
        return connection

    async def open(self) -> None:
        """Begins to look after the connections."""
        self._owner.start(self._hear_revocations(), "revocations")
        self._owner.start(self._check_keys(), "keys")
        self._owner.start(self._check_silence(), "silence")

    async def close(self) -> None:
        """Tells all clients to reconnect, and waits a moment for them to go."""
        self._closing = True
        for connection in list(self._connections):
            connection.close(CloseCode.MOVING, "the gateway stops; reconnect")
        deadline = self._parts.clock.monotonic() + SHUTDOWN_SECONDS
        while self._connections and self._parts.clock.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()
        await self._owner.close()

    @property
    def is_full(self) -> bool:
        """Whether no more streams are taken."""
        return self._closing or len(self._connections) > self._parts.options.connections_max

    def of_tenant(self, tenant_id: str) -> int:
        """How many streams a tenant has here, those being opened too."""
        return sum(visit.identity.owner == tenant_id for visit in self._connections.values())

    def left(self, connection: Connection) -> None:
        """A connection is over."""
        self._connections.pop(connection, None)

    async def _hear_revocations(self) -> None:
        """Ends when discovery is closed; a subscription that breaks is made again."""
        while True:
            try:
                async for notice in self._parts.discovery.subscribe(CHANNEL_KEYS_REVOKED):
                    if notice.missed:
                        continue  # whatever it was, the next look at all keys finds it (KEYS_SECONDS)
                    key_id = str(notice.payload.get("key_id", ""))
                    self._parts.callers.forget(key_id)
                    self._turn_out({key_id})
                return
            except DiscoveryUnavailableError:
                await asyncio.sleep(KEYS_SECONDS)

    async def _check_keys(self) -> None:
        while True:
            await asyncio.sleep(KEYS_SECONDS)
            in_use = {visit.identity.key_id for visit in self._connections.values()} - {""}
            gone = set()
            with contextlib.suppress(DiscoveryUnavailableError):
                for key_id in in_use:
                    if not await self._parts.callers.still_valid(key_id):
                        gone.add(key_id)
            self._turn_out(gone)

    def _turn_out(self, key_ids: set[str]) -> None:
        for connection, visit in list(self._connections.items()):
            if visit.identity.key_id in key_ids:
                connection.close(CloseCode.UNAUTHENTICATED, "the key was revoked or has expired")

    async def _check_silence(self) -> None:
        rounds = int(PEER_SILENT_SECONDS / CHECK_SECONDS)
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for number, connection in enumerate(list(self._connections)):
                connection.check(rounds)
                if number % CHECKED_AT_ONCE == 0:
                    await asyncio.sleep(0)


class _Visit:
    """One stream's way to its coordinator (a `Plan`)."""

    def __init__(self, door: Door, parts: Parts, opening: Opening, headers: Headers) -> None:
        self.identity = Identity()
        self._door = door
        self._parts = parts
        self._opening = opening
        self._headers = headers
        self._request_id = request_id_of(headers)
        self._trace = telemetry.accepted(headers)
        self._span = telemetry.begin(
            "GET /api/v1/instances/{instance_id}/connect",
            parent=self._trace,
            kind="server",
            attributes={"podium.instance_id": opening.instance_id, "podium.request_id": self._request_id},
        )

    @property
    def reattach_seconds(self) -> float:
        return self._parts.options.reattach_seconds

    async def admit(self, opening: Opening) -> None:
        request_id.set(self._request_id)
        instance_id.set(opening.instance_id)
        telemetry.current.set(self._span.traceparent)
        if self._door.is_full:
            raise PodiumError(ErrorCode.NO_COORDINATOR_AVAILABLE, "this gateway takes no more connections")
        key = bearer_of(self._headers) or opening.bearer
        try:
            self.identity = await self._parts.callers.identify(key, self._headers.get(TENANT_HEADER))
            require(self.identity, Permission.INSTANCES_READ)
            self._parts.quotas.check_connections(self.identity, self._door.of_tenant(self.identity.owner))
            record = await self._parts.resolver.instance(self.identity, opening.instance_id)
        except DiscoveryUnavailableError as error:
            raise PodiumError(ErrorCode.REGISTRY_UNAVAILABLE, "the registry does not answer now") from error
        if record.status is InstanceStatus.TERMINATED:
            raise PodiumError(ErrorCode.INSTANCE_STOPPING, "the instance was stopped")

    async def dial(self, upstream: Upstream, after: int | None, mark: bytes, *, first: bool) -> Answered:
        try:
            record = await self._parts.resolver.instance(self.identity, self._opening.instance_id)
            if record.status is InstanceStatus.TERMINATED:
                raise PodiumError(ErrorCode.INSTANCE_STOPPING, "the instance was stopped")
            coordinator = await self._parts.homes.of_instance(record, fresh=not first, seen=0 if first else after or 0)
            host, port, tls, netloc = address_of(coordinator.url)
            key = self._opening.key
            dialing = Dialing(
                netloc,
                record.instance_id,
                after,
                key,
                self._opening.offers_protocol,
                mark,
                {
                    **self._carried(),
                    **cluster_headers(self.identity, self._parts.options.cluster_key, self._request_id),
                },
            )
            answer = await upstream.dial(host, port, tls, dialing)
        except DiscoveryUnavailableError as error:
            raise PodiumError(ErrorCode.REGISTRY_UNAVAILABLE, "the registry does not answer now") from error
        except (OSError, TimeoutError, ValueError) as error:
            upstream.abort()
            raise away() from error
        if answer.status != 101:
            upstream.abort()
            raise _refusal(answer, first=first)
        self._span.end()
        return answer

    def _carried(self) -> dict[str, str]:
        """The client's trace goes on with the turns of its connection. Where it has none each turn has a trace of its own: one
        connection may live for days, and its trace would have no end."""
        return {telemetry.HEADER: self._span.traceparent} if self._trace else {}

    async def may_come_right(self, error: PodiumError) -> bool:
        try:
            return error.mapping.retryable and await self._parts.homes.can_move()
        except DiscoveryUnavailableError:
            return False

    def reattached(self) -> None:
        self._parts.metrics.add("reattached_total")
        _log.info("stream_reattached", extra={"instance_id": self._opening.instance_id})

    def ended(self, connection: Connection) -> None:
        self._span.end()  # of one that was refused, or went away before it was attached
        self._door.left(connection)


def _refusal(answer: Answered, *, first: bool) -> PodiumError:
    """What a coordinator's answer means. While it starts again it may not know its instances yet: that comes right."""
    error = PodiumError.from_problem(answer.rest, answer.status)
    if not first and error.code in _NOT_FOUND:
        return away()
    return error
