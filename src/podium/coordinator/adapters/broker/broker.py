"""The proxy agents use: known by their own credentials, one connection after the other told apart by where it leads."""

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import secrets as lots
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

from podium.coordinator.adapters.broker.authority import Authority
from podium.coordinator.adapters.broker.exchange import Exchange, RefusedError
from podium.coordinator.adapters.broker.streams import CHUNK_BYTES, Stream, connect, encrypted, relay
from podium.coordinator.domain.brokering import (
    Filled,
    Header,
    Host,
    Secret,
    allowed,
    bypass,
    fill,
    is_sendable,
    parse_authority,
    placeholder_of,
    shown,
)
from podium.coordinator.domain.ports import Brokered
from podium.wire.errors import ErrorCode, PodiumError

_log = logging.getLogger(__name__)

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_PROXY_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy")
_BYPASS_VARIABLES: Final = ("NO_PROXY", "no_proxy")
_TRUST_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)


@dataclass(frozen=True)
class BrokerSettings:
    """Of the broker of one host. Times in seconds."""

    key: bytes
    """Placeholders are made with it."""
    directory: Path
    """Where the bundle of authorities is written; agents read it."""
    connections: int = 256
    """Of one instance at once; beyond, 503."""
    greeting: float = 10.0
    """For the first words of a connection, and for a handshake."""
    connect: float = 15.0
    """For a connection to a host."""
    silence: float = 600.0
    """A connection on which nothing moves for so long is closed."""


@dataclass
class _Grant:
    """What one instance may use."""

    instance_id: str
    token: str
    secrets: tuple[Secret, ...]
    connections: set["asyncio.Task[None]"] = field(default_factory=set)


class LoopbackBroker:
    """The broker of one host (port `CredentialBroker`). It listens only once an instance needs it."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._grants: dict[str, _Grant] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._authority: Authority | None = None
        self._outward = ssl.create_default_context()
        self._outward.set_alpn_protocols(["http/1.1"])
        self._starting = asyncio.Lock()

    async def open(
        self, instance_id: str, agent_id: str, secrets: Mapping[str, str], declared: Mapping[str, Sequence[str]]
    ) -> Brokered:
        """Sees `CredentialBroker.open`."""
        self.close(instance_id)
        given = {name: hosts for name, hosts in declared.items() if name in secrets}
        if not given:
            return Brokered(dict(secrets), {})
        unsendable = sorted(name for name in given if not is_sendable(secrets[name]))
        if unsendable:
            what = ", ".join(unsendable)
            raise PodiumError(
                ErrorCode.AGENT_START_FAILED,
                f"a brokered secret is printable ASCII without spaces around it, so that it fits into a header: set {what} anew",
            )
        held = tuple(
            Secret(
                name,
                placeholder_of(self._settings.key, agent_id, name).encode(),
                secrets[name].encode(),
                tuple(hosts),
            )
            for name, hosts in given.items()
        )
        port, authority = await self._started()
        grant = self._grants[instance_id] = _Grant(instance_id, lots.token_urlsafe(24), held)
        proxy = f"http://{instance_id}:{grant.token}@127.0.0.1:{port}"
        skipped = bypass(host for secret in held for host in secret.hosts)
        environment = dict.fromkeys(_PROXY_VARIABLES, proxy) | dict.fromkeys(_BYPASS_VARIABLES, skipped)
        environment |= dict.fromkeys(_TRUST_VARIABLES, str(authority.bundle))
        return Brokered(shown(secrets, held), environment)

    def close(self, instance_id: str) -> None:
        """The instance's process has ended: its credentials open nothing any more, its connections are cut."""
        grant = self._grants.pop(instance_id, None)
        for task in grant.connections if grant is not None else ():
            task.cancel()

    async def stop(self) -> None:
        """Cuts all connections and listens no more."""
        self._grants.clear()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _started(self) -> tuple[int, Authority]:
        async with self._starting:
            if self._authority is None:
                self._authority = await asyncio.to_thread(Authority, self._settings.directory)
            if self._server is None:
                self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK_BYTES)
            return self._server.sockets[0].getsockname()[1], self._authority

    # ── one connection ──────────────────────────────────────────────────────────────────────────────────────

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = Stream(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            grant, host = await self._greeted(stream)
            grant.connections.add(task)
            task.add_done_callback(grant.connections.discard)
            await self._lead(stream, grant, host)
        except RefusedError as refused:
            with contextlib.suppress(OSError, TimeoutError):
                await stream.write(_refusal(refused), self._settings.greeting)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever was there is gone, or never said what it wanted
        finally:
            stream.close()

    async def _greeted(self, stream: Stream) -> tuple[_Grant, Host]:
        """Who it is and where it wants to."""
        async with asyncio.timeout(self._settings.greeting):
            head = (await stream.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.split("\r\n")
        method, _, rest = line.partition(" ")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        grant = self._known(headers.get("proxy-authorization", ""))
        if grant is None:
            raise RefusedError(407, "use the credentials in HTTPS_PROXY")
        host = parse_authority(rest.partition(" ")[0])
        if method != "CONNECT" or host is None:
            raise RefusedError(405, "this proxy takes CONNECT host:port; plain http goes directly")
        if len(grant.connections) >= self._settings.connections:
            raise RefusedError(503, f"an instance may have {self._settings.connections} connections through the broker")
        return grant, host

    def _known(self, said: str) -> _Grant | None:
        scheme, _, encoded = said.partition(" ")
        try:
            instance_id, _, token = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        grant = self._grants.get(instance_id) if scheme.lower() == "basic" else None
        if grant is None or not hmac.compare_digest(grant.token.encode(), token.encode()):
            return None
        return grant

    async def _lead(self, agent: Stream, grant: _Grant, host: Host) -> None:
        settings = self._settings
        secrets = allowed(grant.secrets, host)
        try:
            server = await connect(*host, self._outward if secrets else None, settings.connect)
        except (OSError, TimeoutError) as error:
            raise RefusedError(
                502, f"{host.name}:{host.port} can't be reached: {error or 'no answer in time'}"
            ) from error
        try:
            if not secrets:
                await agent.write(_ESTABLISHED, settings.greeting)
                await relay(agent, server, settings.silence)
                return
            assert self._authority is not None
            inside = await encrypted(agent, self._authority.context(host.name), _ESTABLISHED, settings.greeting)

            def filled(target: bytes, headers: list[Header]) -> Filled:
                made = fill(target, headers, secrets)
                if made.used:
                    named = {"instance_id": grant.instance_id, "host": host.name, "secrets": sorted(made.used)}
                    _log.info("credential_used", extra=named)
                return made

            try:
                await Exchange(inside, server, host, filled, settings.silence).run()
            finally:
                inside.close()
        finally:
            server.close()


def _refusal(refused: RefusedError) -> bytes:
    body = f"{refused.text}\n".encode()
    lines = [
        f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if refused.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        lines.append("Proxy-Authenticate: Basic realm=podium")
    return "\r\n".join([*lines, "\r\n"]).encode() + body
