"""Processes are started, put to sleep, woken, restarted by policy and ended; every wait is bounded."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import InstanceFilter
from podium.coordinator.supervisor.facts import Timings
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.events import OutOfMemory
from podium.wire.link import ConfigChanged, Failed, IdleCheck, IdleReply, Init, Ready, Shutdown, ToAgent, TurnError
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import (
    QUICK,
    House,
    ScriptedAgent,
    contents,
    echo,
    events,
    forward,
    polite,
    send,
    statuses,
    texts,
    until,
)


def stubborn(agent: ScriptedAgent, frame: ToAgent) -> None:
    """Ready at once, and deaf to every wish to end."""
    agent.ignores_terminate = True
    if isinstance(frame, Init):
        agent.say(Ready(protocol=1))


@pytest.mark.proves("INSTANCE-SLEEPS-AND-WAKES")
async def test_an_idle_agent_sleeps_and_a_message_wakes_it(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance = await house.create()
    forward(house, clock, 59)
    assert instance.status is InstanceStatus.READY
    forward(house, clock, 2)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    assert Shutdown(reason="idle") in house.host.agent.heard
    assert not instance.is_open
    ack = send(instance, "wake up")
    await until(lambda: contents(instance, "stream_end") != [])
    assert len(house.host.started) == 2
    assert house.host.agent.messages() == [ack.message_id]


async def test_an_agent_that_does_not_want_to_sleep_is_asked_again_later(
    timed_house: House, clock: ManualClock
) -> None:
    def busy(agent: ScriptedAgent, frame: ToAgent) -> None:
        if isinstance(frame, IdleCheck):
            agent.say(IdleReply(allow=False))
        else:
            polite(agent, frame)

    house = timed_house
    house.use_idle_timeout(60_000)
    house.host.play = busy
    instance = await house.create()
    for asked in (1, 2, 3):
        forward(house, clock, 61)
        await until(lambda expected=asked: house.host.agent.heard.count(IdleCheck()) == expected)  # type: ignore[misc]
        await asyncio.sleep(0)
    assert instance.status is InstanceStatus.READY


async def test_a_message_that_comes_while_the_agent_is_asked_keeps_it_awake(
    timed_house: House, clock: ManualClock
) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance = await house.create()
    forward(house, clock, 61)
    clock.advance(0.001)
    send(instance, "wait")
    await until(lambda: contents(instance, "stream_end") != [])
    assert instance.status is InstanceStatus.READY
    assert len(house.host.started) == 1


async def test_a_message_that_comes_while_the_agent_goes_to_sleep_is_answered(
    timed_house: House, clock: ManualClock
) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance = await house.create()
    instance.life.sleep()
    ack = send(instance, "not yet")
    await until(lambda: contents(instance, "stream_end") != [])
    assert house.host.agent.messages() == [ack.message_id]
    assert statuses(instance)[2:] == ["asleep", "initializing", "ready", "running", "ready"]


@pytest.mark.noisy("agent_restarts", "instance_failed")
@pytest.mark.proves("RESTART-POLICY-GIVES-UP")
async def test_the_policy_gives_up_and_the_turn_that_did_it_is_over(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    send(instance, "poison")
    waiting = send(instance, "for later")
    for run in range(4):
        await until(lambda number=run: len(house.host.started) == number + 1)  # type: ignore[misc]
        await until(lambda: len(house.host.agent.messages()) == 1)
        house.host.agent.end(1)
    await until(lambda: house.supervisor.of_agent("agent") is None)
    assert instance.status is InstanceStatus.FAILED
    assert "3 restarts within 60 s" in (instance.facts.reason or "")
    assert contents(instance, "error")[0]["code"] == "agent_failed"
    with pytest.raises(PodiumError) as refused:
        house.supervisor.alive(instance.facts.instance_id)
    assert refused.value.code is ErrorCode.INSTANCE_FAILED
    again = await house.create()
    await until(lambda: house.host.agent.messages() == [waiting.message_id])
    house.host.agent.finish(waiting.message_id or "")
    assert again.status is InstanceStatus.READY


@pytest.mark.noisy("agent_restarts")
async def test_a_restarted_agent_gets_its_state_back(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    house.host.agent.set_state({"count": 7})
    house.host.agent.end(None, "SIGKILL")
    await until(lambda: len(house.host.started) == 2 and instance.status is InstanceStatus.READY)
    init = house.host.agent.init
    assert init is not None
    assert (init.state, init.state_version, init.state_schema) == ({"count": 7}, 1, 1)
    assert contents(instance, "terminated")[0] == {"reason": "crashed", "signal": "SIGKILL"}


@pytest.mark.noisy("agent_restarts")
@pytest.mark.proves("LIMIT-MEMORY-TOLD")
async def test_an_end_for_lack_of_memory_is_told_with_limit_and_peak(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    house.host.agent.end(None, "SIGKILL", OutOfMemory(limit_bytes=512 * 2**20, peak_bytes=511 * 2**20 + 2**19))
    await until(lambda: len(house.host.started) == 2 and instance.status is InstanceStatus.READY)
    assert contents(instance, "terminated")[0] == {
        "reason": "crashed",
        "signal": "SIGKILL",
        "out_of_memory": {"limit_bytes": 512 * 2**20, "peak_bytes": 511 * 2**20 + 2**19},
    }
    (record,) = [row for row in instance.store.logs(limit=100) if "out of memory" in row.message]
    assert "signal SIGKILL; out of memory: limit 512 MiB, peak 511.5 MiB" in record.message
    assert record.fields == {"memory_limit_bytes": 512 * 2**20, "memory_peak_bytes": 511 * 2**20 + 2**19}


@pytest.mark.proves("INSTANCE-STOP-GRACEFUL", "AGENT-CONTINUES", "INSTANCE-STOPPED-404")
async def test_stopping_ends_the_process_and_keeps_the_data(house: House) -> None:
    instance = await house.create()
    send(instance, "hello")
    await until(lambda: not instance.queue.has_work)
    await house.supervisor.stop(instance)
    assert Shutdown(reason="stop") in house.host.agent.heard
    assert [row.type for row in events(instance)][-5:] == [
        "state.status",
        "terminating",
        "terminated",
        "sandbox.removed",
        "state.status",
    ]
    assert instance.status is InstanceStatus.TERMINATED
    with pytest.raises(PodiumError) as refused:
        house.supervisor.alive(instance.facts.instance_id)
    assert refused.value.code is ErrorCode.INSTANCE_NOT_FOUND
    again = await house.create()
    assert events(again)[0].type == "state.status"
    send(again, "back")
    await until(lambda: len(contents(again, "stream_end")) == 2)


@pytest.mark.proves("INSTANCE-STOP-GRACEFUL")
async def test_stopping_an_agent_that_does_not_listen_is_bounded(house: House) -> None:
    house.host.play = stubborn
    instance = await house.create()
    send(instance, "hello")
    async with asyncio.timeout(10.0):
        await house.supervisor.stop(instance)
    assert contents(instance, "terminated") == [{"reason": "stop", "signal": "SIGKILL"}]
    assert contents(instance, "stream_end") == [{"text": "", "stop_reason": "cancelled"}]


async def test_a_sleeping_agent_is_stopped_without_being_woken(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    house.use_idle_timeout(60_000)
    instance = await house.create()
    forward(house, clock, 61)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    await house.supervisor.stop(instance)
    assert instance.status is InstanceStatus.TERMINATED
    assert len(house.host.started) == 1


@pytest.mark.noisy("instance_failed")
@pytest.mark.parametrize("how", ["refused", "init", "ended", "silent"])
@pytest.mark.proves("INSTANCE-START-FAILED-LOGS")
async def test_an_agent_that_does_not_start_leaves_nothing_behind(tmp_path: Path, how: str) -> None:
    def play(agent: ScriptedAgent, frame: ToAgent) -> None:
        if isinstance(frame, Init) and how == "init":
            agent.prints(b"about to fail\n")
            agent.say(Failed(message_id="", error=TurnError("KeyError", "'model'")))
        elif isinstance(frame, Init) and how == "ended":
            agent.prints(b"about to fail\n")
            agent.end(3)

    house = House(tmp_path, timings=replace(QUICK, ready=0.1))
    house.host.play = play
    house.host.refuses = "there is no module agent" if how == "refused" else None
    await house.open()
    with pytest.raises(PodiumError) as refused:
        await house.create()
    assert refused.value.code is ErrorCode.AGENT_START_FAILED
    if how in {"init", "ended"}:
        assert "about to fail" in (refused.value.logs or [])
    assert house.supervisor.instances == {}
    assert house.supervisor.parts.catalog.instances() == []
    assert not (tmp_path / "agents" / "agent").exists()
    assert await house.discovery.instances(InstanceFilter(), None, 10) == []
    house.host.refuses, house.host.play = None, echo
    assert (await house.create()).status is InstanceStatus.READY
    await house.close()


@pytest.mark.proves("INSTANCE-CREATE-504")
async def test_a_start_that_takes_too_long_is_told_and_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.coordinator.supervisor.births.CREATE_TIMEOUT_SECONDS", 0.02)
    house.host.play = lambda agent, frame: None
    with pytest.raises(PodiumError) as refused:
        await house.create(instance_id="inst-a")
    assert refused.value.code is ErrorCode.AGENT_TIMEOUT
    await until(lambda: house.host.started != [], "the process")
    house.host.agent.say(Ready(protocol=1))
    house.host.agent.flush()
    assert (await house.create(instance_id="inst-a")).status is InstanceStatus.READY
    house.host.play = polite
    assert len(house.host.started) == 1


async def test_creating_the_same_instance_twice_at_once_gives_one(house: House) -> None:
    first, second = await asyncio.gather(
        house.create(instance_id="inst-a"), house.create(instance_id="inst-a"), return_exceptions=False
    )
    assert first is second
    assert len(house.host.started) == 1


@pytest.mark.proves("AGENT-IN-USE-409")
async def test_an_agent_that_is_alive_is_given_again_for_the_same_deployment_and_refused_for_another(
    house: House,
) -> None:
    instance = await house.create(instance_id="inst-a")
    assert await house.create(instance_id="inst-b") is instance
    other = msgspec.structs.replace(instance.facts.deployment, deployment_id="echo:2.0.0@11111111", version="2.0.0")
    with pytest.raises(PodiumError) as refused:
        await house.create(instance_id="inst-c", deployment=other)
    assert refused.value.code is ErrorCode.AGENT_IN_USE
    with pytest.raises(PodiumError) as refused:
        await house.create(instance_id="inst-d", tenant_id="other")
    assert refused.value.code is ErrorCode.AGENT_IN_USE


@pytest.mark.proves("AGENT-DELETE-ERASES")
async def test_an_agent_is_erased_only_when_nothing_of_it_is_alive(house: House) -> None:
    instance = await house.create()
    with pytest.raises(PodiumError) as refused:
        await house.supervisor.remove_agent("agent", "default")
    assert refused.value.code is ErrorCode.AGENT_IN_USE
    await house.supervisor.stop(instance)
    with pytest.raises(PodiumError) as refused:
        await house.supervisor.remove_agent("agent", "other")
    assert refused.value.code is ErrorCode.AGENT_NOT_FOUND
    await house.supervisor.remove_agent("agent", "default")
    assert not (house.directory / "agents" / "agent").exists()
    fresh = await house.create()
    assert events(fresh)[0].seq == 1
    assert len(events(fresh)) == 4


@pytest.mark.noisy("leases_lost")
@pytest.mark.proves("AGENT-ONE-PLACE")
async def test_an_agent_whose_lease_is_lost_ends_at_once_and_writes_no_more(house: House) -> None:
    instance = await house.create()
    before = len(events(instance))
    house.supervisor.leases_lost(["agent"])
    await until(lambda: house.supervisor.instances == {})
    assert house.host.agent.ended
    assert Shutdown(reason="stop") not in house.host.agent.heard
    assert len(events(instance)) == before


@pytest.mark.proves("CONFIG-PRECEDENCE", "CONFIG-CHANGE-REACHES-AGENTS")
async def test_configuration_layers_reach_the_agent_and_changes_follow(house: House) -> None:
    house.deployments.manifest = msgspec.structs.replace(house.manifest, config={"model": "small", "a": {"b": 1}})
    await house.discovery.set_config({"a": {"c": 2}})
    await until(lambda: house.supervisor.around.runtime_config() != {})
    instance = await house.create(config={"model": "large"})
    assert house.host.agent.init is not None
    assert house.host.agent.init.config == {"model": "large", "a": {"b": 1, "c": 2}}
    await house.discovery.set_config({"a": {"c": 3}})
    await until(lambda: any(isinstance(frame, ConfigChanged) for frame in house.host.agent.heard))
    instance.commands.update_config({"a.d": 4}, None)
    changed = [frame for frame in house.host.agent.heard if isinstance(frame, ConfigChanged)]
    assert [frame.source for frame in changed] == ["runtime", "client"]
    assert changed[-1].config == {"model": "large", "a": {"b": 1, "c": 3, "d": 4}}
    again = (await house.crash()).alive(instance.facts.instance_id)
    assert again.facts.config == {"model": "large", "a": {"d": 4}}


async def test_secrets_survive_a_restart_and_are_nowhere_in_plain(house: House) -> None:
    instance = await house.create(secrets={"TOKEN": "hush-hush"}, environment={"MODE": "test"})
    assert house.host.agent.spec.environment == {"MODE": "test", "TOKEN": "hush-hush"}
    again = (await house.crash()).alive(instance.facts.instance_id)
    assert again.facts.secrets == {"TOKEN": "hush-hush"}
    for path in house.directory.rglob("*"):
        if path.is_file():
            assert b"hush-hush" not in path.read_bytes()


async def test_a_full_or_draining_host_takes_no_more(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.capacity = replace(house.capacity, agents=1)
    house.supervisor.parts.catalog.close()
    house.supervisor = house.build()
    await house.open()
    await house.create()
    with pytest.raises(PodiumError) as refused:
        await house.create("another")
    assert refused.value.code is ErrorCode.NO_COORDINATOR_AVAILABLE
    await house.supervisor.drain()
    with pytest.raises(PodiumError) as refused:
        await house.create("another")
    assert refused.value.code is ErrorCode.DRAINING
    assert Shutdown(reason="drain") in house.host.agent.heard
    await house.close()


async def test_the_end_of_the_coordinator_is_bounded_though_agents_do_not_listen(tmp_path: Path) -> None:
    house = House(tmp_path, timings=Timings(ready=1, shutdown=0.1, terminate=0.1, kill=1, idle_reply=1))
    house.host.play = stubborn
    await house.open()
    for number in range(5):
        await house.create(f"agent-{number}")
    async with asyncio.timeout(10.0):
        await house.close()
    assert all(agent.ended for agent in house.host.started)


async def test_a_note_of_the_platform_is_in_the_log(house: House) -> None:
    instance = await house.create()
    with instance.step() as step:
        instance.note(step, "info", "noted", why="a test")
    assert texts(instance) == ["noted"]
