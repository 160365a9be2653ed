"""What a step shows, and when: at once, or when a replica has it."""

import asyncio
import dataclasses
from pathlib import Path

import msgspec
import pytest

from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.api.conversations import wait_for_turn
from podium.coordinator.supervisor import showing
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import settled, visible
from podium.wire.close import CloseCode
from podium.wire.commands import Ack
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.manifest import LimitsTable
from tests.unit.coordinator.twins import House, events, send, until
from tests.unit.coordinator.wires import Client

SYNC = LimitsTable(durability="sync")
AWAY = "showing_waits_for_replica|showing_goes_on"


class Replica:
    """Takes everything, when it is told to."""

    def __init__(self) -> None:
        self.syncs = 0
        self.is_away = False
        self.open = asyncio.Event()
        self.open.set()

    async def synced(self, _agent_id: str, _seconds: float) -> None:
        self.syncs += 1
        await self.open.wait()
        if self.is_away:
            raise ReplicaUnavailableError("it is away")


def replicated(house: House) -> Replica:
    """The house brings its agents' data outside."""
    replica = Replica()
    supervisor = house.supervisor
    supervisor.around = dataclasses.replace(supervisor.around, replicated=True, synced=replica.synced)
    return replica


async def synced_instance(house: House) -> tuple[Instance, Replica]:
    """A ready instance of which everything is shown, and its replica, which takes nothing more just now."""
    replica = replicated(house)
    instance = await house.create(limits=SYNC)
    await settled(instance)
    replica.open.clear()
    return instance, replica


async def test_without_replicas_nobody_counts_and_nothing_waits(house: House) -> None:
    instance = await house.create()
    assert instance.showing is None
    acks: list[Ack] = []
    send(instance, "hello", acknowledge=acks.append)
    assert len(acks) == 1
    assert house.supervisor.records.of(instance).shown == 0


async def test_by_default_a_step_is_shown_at_once_and_discovery_hears_how_far(house: House) -> None:
    replica = replicated(house)
    instance = await house.create()
    acks: list[Ack] = []
    send(instance, "hello", acknowledge=acks.append)
    assert len(acks) == 1
    await until(lambda: bool(events(instance, "checkpoint")))
    assert replica.syncs == 0
    head = instance.store.head_seq
    assert house.supervisor.records.of(instance).shown == head
    await house.supervisor.announcer.flush()
    record = await house.discovery.instance(instance.facts.instance_id)
    assert record is not None
    assert record.shown == head


async def test_with_sync_the_agent_goes_on_and_nothing_is_shown_before_it_is_replicated(house: House) -> None:
    instance, replica = await synced_instance(house)
    client = Client(house, instance.facts.instance_id)
    client.receive()
    shown = instance.store.head_seq
    client.say({"type": "process_message", "id": "c-1", "content": {"text": "hello"}})
    await until(lambda: bool(events(instance, "checkpoint")), "the turn, though nobody sees it")
    assert client.receive() == []
    assert visible(instance, instance.store).seq == shown
    assert house.supervisor.records.of(instance).shown == shown
    late = Client(house, instance.facts.instance_id).receive()
    assert late[0].content["last_seq"] == shown
    waiting = asyncio.ensure_future(settled(instance))
    await asyncio.sleep(0)
    assert not waiting.done()
    replica.open.set()
    await waiting
    kinds = [event.message_type for event in client.receive()]
    assert kinds[:2] == ["ack", "message.user"]
    assert kinds.count("checkpoint") == 1


async def test_many_steps_share_one_sync(house: House) -> None:
    instance, replica = await synced_instance(house)
    before = replica.syncs
    acks: list[Ack] = []
    for number in range(50):
        send(instance, f"m-{number}", acknowledge=acks.append)
    await until(lambda: len(events(instance, "checkpoint")) == 50)
    assert acks == []
    replica.open.set()
    await settled(instance)
    assert [ack.seq for ack in acks] == sorted(ack.seq or 0 for ack in acks)
    assert len(acks) == 50
    assert replica.syncs <= before + 2


async def test_the_result_of_a_turn_waits_too(house: House) -> None:
    instance, replica = await synced_instance(house)
    ack = send(instance, "hello")
    waiting = asyncio.ensure_future(wait_for_turn(instance, ack.turn_id or ""))
    await until(lambda: bool(events(instance, "checkpoint")))
    again = asyncio.ensure_future(wait_for_turn(instance, ack.turn_id or ""))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    assert not again.done()
    replica.open.set()
    assert (await waiting).text == (await again).text == "hello"


async def test_a_command_that_is_sent_again_is_not_acknowledged_earlier(house: House) -> None:
    instance, replica = await synced_instance(house)
    acks: list[Ack] = []
    send(instance, "hello", "c-1", acknowledge=acks.append)
    send(instance, "hello", "c-1", acknowledge=acks.append)
    assert acks == []
    replica.open.set()
    await settled(instance)
    assert len(acks) == 2
    assert acks[0] == acks[1]


@pytest.mark.noisy(AWAY)
async def test_while_the_replica_is_away_everything_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "FIRST_PAUSE_SECONDS", 0.005)
    instance, replica = await synced_instance(house)
    replica.is_away = True
    replica.open.set()
    acks: list[Ack] = []
    send(instance, "hello", acknowledge=acks.append)
    assert instance.showing is not None
    with pytest.raises(PodiumError) as refused:
        await instance.showing.settled(0.05)
    assert (refused.value.code, refused.value.retry_after) == (ErrorCode.WORKSPACE_UNAVAILABLE, 1.0)
    assert acks == []
    replica.is_away = False
    await settled(instance)
    assert len(acks) == 1


async def test_when_too_much_waits_messages_are_refused_and_the_agent_is_not_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "HELD_MAX_EVENTS", 5)
    instance, replica = await synced_instance(house)
    send(instance, "hello")
    await until(lambda: house.host.agent.paused)
    with pytest.raises(PodiumError) as refused:
        send(instance, "again")
    assert (refused.value.code, refused.value.retry_after) == (ErrorCode.QUOTA_EXCEEDED, 1.0)
    replica.open.set()
    await settled(instance)
    assert not house.host.agent.paused
    send(instance, "again")
    await settled(instance)


async def test_who_lost_the_agent_shows_nothing_more(house: House) -> None:
    instance, replica = await synced_instance(house)
    acks: list[Ack] = []
    send(instance, "hello", acknowledge=acks.append)
    waiting = asyncio.ensure_future(settled(instance))
    await asyncio.sleep(0)
    instance.lost = True
    replica.open.set()
    await until(lambda: replica.syncs >= 2)
    assert acks == []
    instance.close_store()
    with pytest.raises(PodiumError) as ended:
        await waiting
    assert ended.value.code is ErrorCode.DRAINING
    assert acks == []
    await instance.life.end_now()
    instance.dismiss(CloseCode.MOVING, "it is elsewhere")
    house.supervisor.forget(instance)


async def test_what_a_crash_left_is_replicated_before_anybody_sees_it(house: House, tmp_path: Path) -> None:
    instance, _ = await synced_instance(house)
    send(instance, "hello")
    await until(lambda: bool(events(instance, "checkpoint")))
    await house.pause()
    house.supervisor = house.build()
    replica = replicated(house)
    replica.open.clear()
    await house.open()
    client = Client(house, instance.facts.instance_id, "after=0")
    client.say({"type": "ping", "id": "early"})
    await asyncio.sleep(0.01)
    assert client.receive() == []
    replica.open.set()
    back = house.supervisor.instances[instance.facts.instance_id]
    await settled(back)
    received = client.receive()
    assert received[0].message_type == "connected"
    assert "pong" in [event.message_type for event in received]
    seqs = [event.seq for event in received if event.seq]
    assert seqs == list(range(1, len(seqs) + 1))
    assert "checkpoint" in [event.message_type for event in received]


@pytest.mark.proves("SYNC-NEEDS-REPLICAS")
async def test_sync_is_refused_where_nothing_is_replicated(house: House) -> None:
    with pytest.raises(PodiumError) as refused:
        await house.create(limits=SYNC)
    assert refused.value.code is ErrorCode.INVALID_REQUEST
    assert "LITESTREAM_REPLICA_URL" in refused.value.detail
    assert not house.supervisor.instances


async def test_the_manifest_may_ask_for_sync_and_the_create_call_has_the_last_word(house: House) -> None:
    replicated(house)
    limits = msgspec.structs.replace(house.manifest.limits, durability="sync")
    house.deployments.manifest = msgspec.structs.replace(house.manifest, limits=limits)
    asked, other = await house.create(), await house.create("other", limits=LimitsTable(durability="default"))
    assert asked.showing is not None
    assert other.showing is not None
    assert asked.showing.is_sync
    assert not other.showing.is_sync
    entry = house.supervisor.parts.catalog.instance(asked.facts.instance_id)
    assert entry is not None
    assert entry.limits.durability == "sync"  # whoever goes on with it knows, also before it has the manifest


@pytest.mark.noisy("tail_lost_late")
async def test_a_client_that_saw_more_than_was_known_goes_on_behind_it(house: House) -> None:
    replicated(house)
    instance = await house.create()
    head, tails = instance.store.head_seq, house.supervisor.adoptions.tails
    refused = Client(house, instance.facts.instance_id, f"after={head + 3}")
    await until(lambda: refused.close_code == 4410)
    tails._late["agent"] = 10
    client = Client(house, instance.facts.instance_id, f"after={head + 3}")
    assert client.receive()[0].content["last_seq"] == head + 3
    assert [row.type for row in events(instance)[-3:]] == ["event.lost"] * 3
    greedy = Client(house, instance.facts.instance_id, f"after={head + 11}")
    await until(lambda: greedy.close_code == 4410)
