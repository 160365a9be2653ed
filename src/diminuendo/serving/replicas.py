"""Several replicas over one data directory: who works on which tenant is agreed on by leases, everybody else relays.

A tenant, with all its sessions, belongs to one replica at a time. The first that is asked takes the tenant's lease; others find the
holder's address in it and pass on what they are asked. A holder that dies loses the lease in ten seconds, and the next that is asked
takes over, with the same files. That nobody still writes who has lost it is held by the files themselves: each database is open
for its holder alone (`podium.base.sqlite.open_database`, `exclusive`), until he closes it or is dead.
"""

import asyncio
import contextlib
import logging
from typing import Final

import aiohttp

from diminuendo.protocol.answers import AnswerMessage, Identity
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.messages import ClientMessage, JoinSession
from diminuendo.serving.hub import Hub
from diminuendo.serving.port import Reader, Seat, Sessions
from diminuendo.serving.refusals import answering
from diminuendo.serving.remote import RemoteSessions
from podium.base.clock import Clock
from podium.base.discovery import Discovery, DiscoveryUnavailableError
from podium.base.discovery.port import LEASE_RENEW_SECONDS, LEASE_TTL_SECONDS
from podium.base.tasks import TaskOwner

KNOWN_SECONDS: Final = 1.0
"""How long a holder is believed to be one without asking again."""

TRIES: Final = 3
"""How often a lease is asked for when it changes hands right then."""

_log = logging.getLogger(__name__)


class Replicas:
    """All sessions, wherever they are worked on (a `Sessions`). `url` is where other replicas reach this one; it names it, too."""

    def __init__(self, hub: Hub, discovery: Discovery, url: str, cluster_key: str, clock: Clock) -> None:
        self._hub = hub
        self._discovery = discovery
        self._url = url
        self._cluster_key = cluster_key
        self._clock = clock
        self._owner = TaskOwner("replicas")
        self._held: dict[str, int] = {}
        self._renewed_at = clock.monotonic()
        self._holders: dict[str, tuple[str, float]] = {}
        self._remotes: dict[str, RemoteSessions] = {}
        self._taking: dict[str, asyncio.Lock] = {}
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Begins to keep what will be held."""
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._owner.start(self._keep(), "leases")

    async def close(self) -> None:
        """Gives everything back: others take over at once. The hub is to be closed before."""
        await self._owner.close()
        for remote in self._remotes.values():
            await remote.close()
        with contextlib.suppress(DiscoveryUnavailableError):
            for tenant_id, epoch in self._held.items():
                await self._discovery.release_lease(_name(tenant_id), self._url, epoch)
        self._held.clear()
        if self._http is not None:
            await self._http.close()

    async def handle(self, caller: Identity, message: ClientMessage) -> AnswerMessage:
        """See `Sessions`."""
        with answering(message):
            return await (await self._of(caller.tenant_id)).handle(caller, message)

    async def join(self, caller: Identity, message: JoinSession, reader: Reader) -> Seat:
        """See `Sessions`."""
        with answering(message):
            return await (await self._of(caller.tenant_id)).join(caller, message, reader)

    @property
    def here(self) -> Sessions:
        """What other replicas may ask this one: the sessions of tenants it holds, and no relaying any further."""
        return _Here(self._hub, self._held)

    async def _of(self, tenant_id: str) -> Sessions:
        """Who works on the tenant; this replica, if nobody does.

        Raises:
            ProtocolError: that can't be found out now.
        """
        if tenant_id in self._held:
            return self._hub
        known, until = self._holders.get(tenant_id, ("", 0.0))
        if until > self._clock.monotonic():
            return self._remote(known)
        async with self._taking.setdefault(tenant_id, asyncio.Lock()):
            try:
                return self._hub if tenant_id in self._held else await self._agree(tenant_id)
            except DiscoveryUnavailableError as error:
                text = "it can't be told now who works on this tenant"
                raise ProtocolError(Code.PODIUM_UNAVAILABLE, text) from error

    async def _agree(self, tenant_id: str) -> Sessions:
        for _ in range(TRIES):
            lease = await self._discovery.acquire_lease(_name(tenant_id), self._url)
            if lease is not None:
                self._held[tenant_id] = lease.epoch
                self._hub.take(tenant_id)
                _log.info("tenant_taken", extra={"tenant_id": tenant_id, "epoch": lease.epoch})
                return self._hub
            held = await self._discovery.lease(_name(tenant_id))
            if held is not None:
                self._holders[tenant_id] = (held.coordinator_id, self._clock.monotonic() + KNOWN_SECONDS)
                return self._remote(held.coordinator_id)
        raise ProtocolError(Code.PODIUM_UNAVAILABLE, "this tenant is changing hands; try again")

    def _remote(self, url: str) -> RemoteSessions:
        found = self._remotes.get(url)
        if found is None:
            assert self._http is not None
            found = self._remotes[url] = RemoteSessions(url, self._cluster_key, self._http)
        return found

    async def _keep(self) -> None:
        """Renews what is held, and lets go of what was lost: at the latest when others may have taken it."""
        while True:
            await asyncio.sleep(LEASE_RENEW_SECONDS)
            held = {_name(tenant_id): epoch for tenant_id, epoch in self._held.items()}
            began = self._clock.monotonic()
            try:
                lost = await self._discovery.renew_leases(self._url, held)
                self._renewed_at = began
            except DiscoveryUnavailableError:
                late = self._clock.monotonic() - self._renewed_at > LEASE_TTL_SECONDS
                lost = list(held) if late else []
            for tenant_id in [known for known in self._held if _name(known) in lost]:
                _log.warning("tenant_lost", extra={"tenant_id": tenant_id})
                del self._held[tenant_id]
                await self._hub.drop(tenant_id)


class _Here:
    """What one replica offers to others (a `Sessions`)."""

    def __init__(self, hub: Hub, held: dict[str, int]) -> None:
        self._hub = hub
        self._held = held

    async def handle(self, caller: Identity, message: ClientMessage) -> AnswerMessage:
        self._check(caller)
        return await self._hub.handle(caller, message)

    async def join(self, caller: Identity, message: JoinSession, reader: Reader) -> Seat:
        self._check(caller)
        return await self._hub.join(caller, message, reader)

    def _check(self, caller: Identity) -> None:
        if caller.tenant_id not in self._held:
            raise ProtocolError(Code.PODIUM_UNAVAILABLE, "this tenant is changing hands; try again")


def _name(tenant_id: str) -> str:
    """The name of a tenant's lease, which no agent can have: agents' ids have no colon."""
    return f"diminuendo:{tenant_id}"
