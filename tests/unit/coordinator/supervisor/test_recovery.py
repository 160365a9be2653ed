"""The coordinator is killed and started again: nothing that was acknowledged is lost."""

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.adapters.store import StoreFullError
from podium.coordinator.adapters.vault import Given
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.link import Init, Message, Ready
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import DEPLOYMENT, House, contents, echo, events, forward, polite, send, until


@pytest.mark.proves("STREAM-ACKED-PROCESSED", "STREAM-NO-GAP")
async def test_a_running_turn_and_waiting_messages_are_run_after_a_restart(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    acks = [send(instance, text) for text in ("one", "two", "three")]
    await until(lambda: house.host.agent.messages() == [acks[0].message_id])
    house.host.play = echo
    supervisor = await house.crash()
    again = supervisor.alive(instance.facts.instance_id)
    await until(lambda: not again.queue.has_work)
    assert [content["text"] for content in contents(again, "stream_end")] == ["one", "two", "three"]
    heard = [frame for frame in house.host.agent.heard if isinstance(frame, Message)]
    assert [(frame.id, frame.attempt) for frame in heard] == [
        (acks[0].message_id, 2),
        (acks[1].message_id, 1),
        (acks[2].message_id, 1),
    ]
    assert [row.seq for row in events(again)] == list(range(1, len(events(again)) + 1))


async def test_an_agent_without_work_is_asleep_after_a_restart_and_wakes_on_demand(house: House) -> None:
    instance = await house.create()
    supervisor = await house.crash()
    again = supervisor.alive(instance.facts.instance_id)
    assert again.status is InstanceStatus.ASLEEP
    assert len(house.host.started) == 1
    assert not again.is_open
    send(again, "hello")
    await until(lambda: contents(again, "stream_end") != [])
    assert len(house.host.started) == 2


async def test_an_agent_that_was_made_when_the_coordinator_died_and_not_yet_told_of_is_known_after_a_restart(
    house: House,
) -> None:
    instance = await house.create()
    await house.pause()
    await house.discovery.remove_agent("agent")
    await house.discovery.remove_instances([instance.facts.instance_id])
    house.supervisor = house.build()
    await house.supervisor.open()
    agent = await house.discovery.agent("agent")
    assert agent is not None
    assert (agent.instance_id, agent.coordinator_id) == (instance.facts.instance_id, "coord-1")
    told = await house.discovery.instance(instance.facts.instance_id)
    assert told is not None
    assert told.status is InstanceStatus.ASLEEP


@pytest.mark.noisy(
    "agent_restarts", "instance_failed"
)  # said by what the simulated crash leaves of the old coordinator
async def test_a_message_taken_while_the_agent_slept_survives_the_next_crash(
    timed_house: House, clock: ManualClock
) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance = await house.create()
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    ack = send(instance, "do not lose me")
    supervisor = await house.crash()
    again = supervisor.alive(instance.facts.instance_id)
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    await until(lambda: not again.queue.has_work)


async def test_a_coordinator_that_stops_gracefully_leaves_running_turns_to_be_run_again(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "one")
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    await house.supervisor.close()
    assert contents(instance, "stream_end") == []
    house.supervisor = house.build()
    house.host.play = echo
    await house.open()
    again = house.supervisor.alive(instance.facts.instance_id)
    await until(lambda: not again.queue.has_work)
    assert contents(again, "stream_end") == [{"text": "one", "stop_reason": "end_turn"}]


async def test_what_was_being_made_when_the_coordinator_died_is_gone(house: House) -> None:
    catalog = house.supervisor.parts.catalog
    catalog.ensure_agent("half", "default", DEPLOYMENT, 0)
    sealed = house.supervisor.parts.vault.seal("inst-half", Given({}, {}))
    catalog.put_instance(InstanceEntry("inst-half", "half", "default", DEPLOYMENT, 0, sealed=sealed))
    (house.directory / "agents" / "half").mkdir(parents=True)
    supervisor = await house.crash()
    assert supervisor.instances == {}
    assert supervisor.parts.catalog.agent("half") is None
    assert not (house.directory / "agents" / "half").exists()


async def test_a_stop_that_was_under_way_is_finished(house: House) -> None:
    instance = await house.create()
    house.supervisor.parts.catalog.set_status(instance.facts.instance_id, InstanceStatus.STOPPING)
    supervisor = await house.crash()
    assert supervisor.instances == {}
    entry = supervisor.parts.catalog.instance(instance.facts.instance_id)
    assert entry is not None
    assert entry.status is InstanceStatus.TERMINATED


@pytest.mark.noisy("not_recovered")
async def test_an_agent_whose_databases_are_damaged_does_not_keep_the_others_down(house: House) -> None:
    damaged = await house.create("damaged")
    well = await house.create("well")
    path = house.directory / "agents" / "damaged" / "messages" / "messages.db"
    await house.pause()
    path.write_bytes(b"no database at all" * 1000)
    supervisor = await house.resume()
    assert supervisor.alive(well.facts.instance_id)
    assert damaged.facts.instance_id not in supervisor.instances


@pytest.mark.noisy("storage_failed", "frames_lost", "not_recovered")
async def test_an_agent_whose_disk_is_full_comes_back_when_there_is_room(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    ack = send(instance, "one")
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    full = True

    def fault(point: str) -> None:
        if full and point == "messages.commit":
            raise StoreFullError("messages", "no space left")

    house.fault = fault
    with pytest.raises(PodiumError) as refused:
        send(instance, "two")
    assert refused.value.code is ErrorCode.INTERNAL
    with pytest.raises(PodiumError) as refused:
        house.supervisor.alive(instance.facts.instance_id)
    assert refused.value.code is ErrorCode.WORKSPACE_UNAVAILABLE
    await until(lambda: house.host.agent.ended)
    house.host.play = echo
    full = False
    await until(lambda: house.supervisor.of_agent("agent") is not None)
    again = house.supervisor.alive(instance.facts.instance_id)
    await until(lambda: not again.queue.has_work)
    assert [content["text"] for content in contents(again, "stream_end")] == ["one"]
    assert len(events(again, "message.user")) == 1


async def test_a_turn_that_was_cancelled_is_not_run_again_after_a_restart(house: House) -> None:
    house.host.play = lambda agent, frame: agent.say(Ready(protocol=1)) if isinstance(frame, Init) else None
    instance = await house.create()
    first, second = send(instance, "one"), send(instance, "two")
    await until(lambda: house.host.agent.messages() == [first.message_id])
    instance.commands.cancel("cancel-1")
    house.host.play = echo
    supervisor = await house.crash()
    again = supervisor.alive(instance.facts.instance_id)
    await until(lambda: not again.queue.has_work)
    assert house.host.agent.messages() == [second.message_id]
    assert [content["stop_reason"] for content in contents(again, "stream_end")] == ["cancelled", "end_turn"]
