"""Making, stopping and removing overlap: each is done wholly, and no answer is untrue."""

import asyncio
from typing import Any

import pytest

from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, contents, send, until


class Gate:
    """Stands in front of an async method: whoever calls it has `arrived`, and goes on once it is `open`."""

    def __init__(self, target: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self._method = getattr(target, name)
        monkeypatch.setattr(target, name, self._call)

    async def _call(self, *args: Any, **more: Any) -> Any:
        self.arrived.set()
        await self.open.wait()
        return await self._method(*args, **more)


async def test_an_instance_stopped_while_its_deployment_is_prepared_is_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(house.deployments, "ensure", monkeypatch)
    creating = asyncio.create_task(house.create(instance_id="inst-1"))
    await gate.arrived.wait()
    instance = house.supervisor.instances["inst-1"]
    stopping = asyncio.create_task(house.supervisor.stop(instance))
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.wait({creating}, timeout=2.0)
    await stopping
    assert house.supervisor.instances == {}
    assert not instance.life.busy
    assert all(agent.ended for agent in house.host.started)


async def test_an_instance_stopped_while_it_is_announced_is_gone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(house.discovery, "put_agent", monkeypatch)
    creating = asyncio.create_task(house.create(instance_id="inst-1"))
    await gate.arrived.wait()
    instance = house.supervisor.instances["inst-1"]
    stopping = asyncio.create_task(house.supervisor.stop(instance))
    await until(lambda: not instance.life.busy)
    gate.open.set()
    await asyncio.wait({creating}, timeout=2.0)
    await stopping
    assert house.supervisor.instances == {}
    assert instance.status is InstanceStatus.TERMINATED


async def test_an_agent_that_is_being_removed_is_not_made_again_before_it_is_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.supervisor.stop(await house.create(instance_id="inst-1"))
    gate = Gate(house.supervisor.parts.workspaces, "remove", monkeypatch)
    removing = asyncio.create_task(house.supervisor.remove_agent("agent", None))
    await gate.arrived.wait()
    with pytest.raises(PodiumError) as refused:
        await house.create(instance_id="inst-2")
    assert refused.value.code is ErrorCode.AGENT_IN_USE
    gate.open.set()
    await removing
    again = await house.create(instance_id="inst-3")
    send(again, "hello")
    await until(lambda: contents(again, "stream_end") != [])
    assert (house.directory / "agents" / "agent" / "messages" / "messages.db").exists()


async def test_an_instance_that_is_leaving_is_not_given_to_who_creates_the_agent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await house.create(instance_id="inst-1")
    gate = Gate(house.supervisor.parts.workspaces, "close", monkeypatch)
    stopping = asyncio.create_task(house.supervisor.stop(instance))
    await gate.arrived.wait()
    assert instance.status is InstanceStatus.TERMINATED
    for instance_id in ("inst-1", "inst-2"):
        with pytest.raises(PodiumError) as refused:
            await house.create(instance_id=instance_id)
        assert refused.value.code in {ErrorCode.AGENT_IN_USE, ErrorCode.INSTANCE_STOPPING}
    gate.open.set()
    await stopping


async def test_an_instance_cut_off_before_its_process_was_begun_does_not_stay_awake(house: House) -> None:
    instance = await house.create()
    instance.life.sleep()
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    instance.life.wake()
    await instance.life.end_now()
    assert not instance.life.busy
    send(instance, "hello")
    await until(lambda: contents(instance, "stream_end") != [])


async def test_removing_an_agent_whose_instance_is_put_aside_is_refused_and_erases_nothing(house: House) -> None:
    instance = await house.create()
    await instance.life.end_now()
    house.supervisor.forget(
        instance
    )  # what putting aside, or a recovery that failed, leaves: only the catalog knows it
    try:
        with pytest.raises(PodiumError) as refused:
            await house.supervisor.remove_agent("agent", None)
        assert refused.value.code is ErrorCode.AGENT_IN_USE
        assert (house.directory / "agents" / "agent" / "messages" / "messages.db").exists()
    finally:
        house.supervisor.register(instance)
