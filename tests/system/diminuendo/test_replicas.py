"""Two replicas over one data directory: a client is served by either, and by the other when one is gone."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from diminuendo.protocol.answers import Identity, SessionList
from diminuendo.protocol.errors import ProtocolError
from diminuendo.protocol.messages import CreateSession, ListSessions
from diminuendo.serving.hub import Hub
from diminuendo.serving.replicas import Replicas
from diminuendo.storage.places import Places
from podium.base.clock import ManualClock, SystemClock
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.discovery.port import LEASE_TTL_SECONDS
from podium.client import ClientSettings, PodiumClient
from tests.contract.servers import Server
from tests.system.diminuendo.people import ErrorAnswer, Person, Process, Tenant, gapless, text_of
from tests.system.diminuendo.test_conversations import begun, talked
from tests.waiting import free_port

CLUSTER_KEY = "a-cluster-key-of-two-replicas-of-a-test"


class Pair(NamedTuple):
    """Two ways in to one tenant; whoever is asked first works on it."""

    one: Tenant
    other: Tenant


@pytest.fixture
async def pair(diminuendo: Process, tmp_path: Path, session: aiohttp.ClientSession) -> AsyncIterator[Pair]:
    server = Server(tmp_path / "valkey").start()
    agreed = {
        "VALKEY_URL": f"valkey://127.0.0.1:{server.port}/0",
        "CLUSTER_KEY": CLUSTER_KEY,
        "DIMINUENDO_DATA": str(tmp_path / "shared"),
    }
    processes = []
    for name in ("one", "other"):
        process = diminuendo.another(tmp_path / name, **agreed)
        process.data = tmp_path / "shared"
        processes.append(process)
    try:
        await asyncio.gather(*(process.start(DIMINUENDO_URL=process.url) for process in processes))
        tenant_id = f"tenant-{uuid.uuid4().hex[:8]}"
        yield Pair(Tenant(processes[0], session, tenant_id), Tenant(processes[1], session, tenant_id))
    finally:
        for process in processes:
            process.close()
        server.kill()
    processes[0].check()


@pytest.mark.proves("DIM-REPLICAS", "DIM-FAN-OUT")
async def test_clients_of_both_replicas_are_in_one_conversation(pair: Pair, session: aiohttp.ClientSession) -> None:
    async with pair.one.person("ann") as ann, pair.other.person("bob") as bob:
        session_id = await begun(ann, "counter")
        await bob.ask("join_session", sessionId=session_id, afterSeq=0)
        turn = await bob.ask("run_turn", sessionId=session_id, text="count to 5")
        for person in (ann, bob):
            complete = await person.until("turn_complete", turnId=turn["turnId"])
            await person.until("session_state", after=complete["seq"], state="ready")
        assert ann.events == bob.events
        assert gapless(bob.events)
        with pytest.raises(ErrorAnswer, match="FORBIDDEN"):
            await bob.ask("delete_session", sessionId=session_id)
        await ann.ask("delete_session", sessionId=session_id)
        await bob.hears("session_deleted", sessionId=session_id)
    # Only who has the cluster's key may pass on what others say.
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await session.ws_connect(f"{pair.one.process.url}/relay", headers={"Authorization": "Bearer pod_x"})


@pytest.mark.proves("DIM-REPLICAS", "DIM-RESUME")
async def test_when_the_replica_that_works_is_killed_the_other_goes_on(pair: Pair) -> None:
    key = pair.one.process.key("ann", pair.one.tenant_id)
    async with pair.one.person(key=key) as first, pair.other.person(key=key) as ann:
        session_id = await begun(first, "counter")
        await ann.ask("join_session", sessionId=session_id, afterSeq=0)
        turn = await ann.ask("run_turn", sessionId=session_id, text="count to 30")
        await ann.until("text_delta", text="3 ")
        pair.one.process.kill()
        assert await ann.closed() == 1012
        before = list(ann.events)
    async with pair.other.person(key=key) as again:
        await _joined(again, session_id, before[-1]["seq"])
        complete = await again.until("turn_complete", turnId=turn["turnId"])
        everything = [*before, *again.events]
        assert gapless(everything)
        assert text_of(everything, turn["turnId"]) == complete["finalText"]
        assert (await talked(again, session_id, "hi"))["finalText"] == "message 2: 'hi'"


async def _joined(person: Person, session_id: str, after: int) -> None:
    """Joins as soon as the lease of whoever is dead has ended."""
    while True:
        try:
            await person.ask("join_session", sessionId=session_id, afterSeq=after)
            return
        except ErrorAnswer as error:
            if error.code != "PODIUM_UNAVAILABLE":
                raise
            await asyncio.sleep(1.0)  # as a client would


@pytest.mark.proves("DIM-REPLICAS")
async def test_whoever_lost_a_tenant_keeps_others_out_until_he_has_let_go(tmp_path: Path) -> None:
    clock, key = ManualClock(), CLUSTER_KEY
    discovery, caller = MemoryDiscovery(clock), Identity("ann", "", "acme", "owner")
    async with PodiumClient(ClientSettings(f"http://127.0.0.1:{free_port()}")) as podium:
        hubs = [Hub(Places(tmp_path), podium, SystemClock()) for _ in range(2)]
        urls = [f"http://127.0.0.1:{free_port()}" for _ in hubs]
        one, other = (Replicas(hub, discovery, url, key, clock) for hub, url in zip(hubs, urls, strict=True))
        for replica in (one, other):
            await replica.open()
        try:
            await one.handle(caller, CreateSession(agent_type="echo"))
            with pytest.raises(
                ProtocolError, match="does not answer"
            ):  # it is asked over the network, and is not there
                await other.handle(caller, ListSessions())
            clock.advance(LEASE_TTL_SECONDS)
            with pytest.raises(ProtocolError, match="can't be read"):  # the lease is the other's, the files are not yet
                await other.handle(caller, ListSessions())
            with pytest.raises(ProtocolError, match="changing hands"):
                await other.here.handle(Identity("ann", "", "another", "owner"), ListSessions())
            await hubs[0].drop("acme")
            listed = await other.handle(caller, ListSessions())
            assert isinstance(listed, SessionList)
            assert len(listed.sessions) == 1
        finally:
            for hub in hubs:
                await hub.close()
            for replica in (one, other):
                await replica.close()
