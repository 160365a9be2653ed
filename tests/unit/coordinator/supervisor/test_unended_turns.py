"""Turns that ended on a host that was lost, and whose state did not get outside: they run again, first and in order."""

import shutil
from pathlib import Path

import msgspec
import pytest

from podium.coordinator.adapters.store import validate_directory
from podium.coordinator.adapters.store.database import STATE
from podium.coordinator.adapters.store.lost import fill_lost
from podium.coordinator.domain.turns import Ending
from podium.coordinator.supervisor.instance import Instance
from podium.wire.link import CancelTurn, Init, Message, ToAgent
from tests.unit.coordinator.twins import House, ScriptedAgent, contents, echo, events, send, until


def remembering(agent: ScriptedAgent, frame: ToAgent) -> None:
    """Adds what it hears to its state, and says it."""
    if isinstance(frame, Message):
        agent.change_state([{"op": "add", "path": "/heard/-", "value": frame.data["text"]}])
    echo(agent, frame)
    if isinstance(frame, Init) and frame.state_version == 0:
        agent.set_state({"heard": []})


def busy_with_four(agent: ScriptedAgent, frame: ToAgent) -> None:
    """The same, but works for ever on `four`, whoever cancels it."""
    if not isinstance(frame, CancelTurn) and not (isinstance(frame, Message) and frame.data["text"] == "four"):
        remembering(agent, frame)


async def lived(house: House, older: Path) -> Instance:
    """An agent that has heard three messages and works on a fourth; a copy of its state after the first is in `older`."""
    house.host.play = busy_with_four
    instance = await house.create()
    for text in ("one", "two", "three"):
        send(instance, text)
        await until(lambda: not instance.queue.has_work)
        if text == "one":
            shutil.copytree((instance.directory / STATE.path).parent, older)
    ack = send(instance, "four")
    await until(lambda: house.host.agent.messages()[-1] == ack.message_id)
    send(instance, "five")
    return instance


async def goes_on(house: House, instance: Instance, older: Path) -> Instance:
    """The host is lost; the agent goes on with this state and all of its journal, until nothing is left to do."""
    await house.pause()
    directory = instance.directory
    shutil.rmtree((directory / STATE.path).parent)
    shutil.copytree(older, (directory / STATE.path).parent)
    fill_lost(directory, instance.facts.agent_id, house.clock, instance.facts.instance_id, 0)
    assert validate_directory(directory) == []
    house.host.play = remembering
    again = (await house.resume()).alive(instance.facts.instance_id)
    await until(lambda: not again.queue.has_work)
    return again


def heard_by(agent: ScriptedAgent) -> list[tuple[str, int]]:
    return [(str(frame.data["text"]), frame.attempt) for frame in agent.heard if isinstance(frame, Message)]


@pytest.mark.proves("ENDED-IS-WHOLE")
async def test_they_run_again_before_all_that_wait(house: House, tmp_path: Path) -> None:
    again = await goes_on(house, await lived(house, tmp_path / "older"), tmp_path / "older")
    assert heard_by(house.host.agent) == [("two", 2), ("three", 2), ("four", 2), ("five", 1)]
    with again.reading() as store:
        state = msgspec.json.decode(store.state().data)
    assert state == {"heard": ["one", "two", "three", "four", "five"]}
    ended = [content["turn_id"] for content in contents(again, "checkpoint")]
    assert ended == [row.turn_id for row in events(again, "message.user")], "each ends once"


async def test_one_that_was_cancelled_before_is_told_so_when_its_turn_comes(house: House, tmp_path: Path) -> None:
    instance = await lived(house, tmp_path / "older")
    with instance.step() as step:
        instance.turns.ask_end(step, Ending.CANCELLED)
        instance.settle(step)
    await goes_on(house, instance, tmp_path / "older")
    assert heard_by(house.host.agent)[2:] == [("four", 2), ("five", 1)]
    frames = [frame for frame in house.host.agent.heard if isinstance(frame, Message | CancelTurn)]
    assert [type(frame) for frame in frames[2:4]] == [Message, CancelTurn]
