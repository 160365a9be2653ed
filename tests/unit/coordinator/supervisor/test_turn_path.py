"""A message becomes durable, reaches the agent, and its answer the journal and everyone who follows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.coordinator.supervisor.commands import Incoming
from podium.coordinator.supervisor.instance import Instance
from podium.wire.commands import Ack, OnBusy
from podium.wire.link import Origin
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, contents, events, until


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.open()
    yield house
    await house.close()


def send(instance: Instance, text: str, command_id: str | None = None, on_busy: OnBusy = "queue") -> Ack:
    return instance.commands.send_message(Incoming({"text": text}, Origin("default"), command_id, on_busy))


async def test_a_turn_goes_from_message_to_checkpoint(house: House) -> None:
    instance = await house.create()
    ack = send(instance, "hello")
    await until(lambda: instance.queue.running is None)
    assert [row.type for row in events(instance)] == [
        "state.status",
        "sandbox.provisioning",
        "sandbox.init",
        "state.status",
        "message.user",
        "state.status",
        "stream_start",
        "stream_update",
        "stream_end",
        "checkpoint",
        "state.status",
    ]
    assert contents(instance, "message.user") == [{"text": "hello", "message_id": ack.message_id}]
    assert contents(instance, "checkpoint") == [{"turn_id": ack.turn_id, "seq": 10, "state_version": 0, "iteration": 0}]
    assert instance.status is InstanceStatus.READY
