"""A full disk: who is put aside has one store at a time, and what the catalog could not be told is told to it later."""

from typing import Any

import pytest

from podium.coordinator.adapters.catalog import Catalog
from podium.coordinator.adapters.store import StoreFullError
from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, contents, echo, events, polite, send, until
from tests.unit.coordinator.wires import Client


class Disk:
    """The disk of a house."""

    def __init__(self, house: House) -> None:
        self.full = False
        self.refused = 0
        house.fault = self.fault

    def fault(self, point: str) -> None:
        """Refuses commits while it is full."""
        if self.full and point == "messages.commit":
            self.refused += 1
            raise StoreFullError("messages", "no space left")


@pytest.mark.noisy("storage_failed", "frames_lost", "not_recovered")
async def test_nobody_gets_a_second_store_of_an_agent_that_is_put_aside(house: House) -> None:
    house.host.play = polite
    instance = await house.create()
    instance_id = instance.facts.instance_id
    ack = send(instance, "one")
    await until(lambda: house.host.agent.messages() == [ack.message_id])
    disk = Disk(house)
    disk.full = True
    with pytest.raises(PodiumError):
        send(instance, "two")
    for _ in range(2):  # at once, and when it was tried again
        client = Client(house, instance_id)
        assert (client.receive(), client.close_code) == ([], CloseCode.TRY_LATER)
        with pytest.raises(PodiumError) as refused:
            await house.supervisor.adoptions.adopt("agent", instance_id)
        assert refused.value.code is ErrorCode.WORKSPACE_UNAVAILABLE
        with pytest.raises(PodiumError):
            _ = house.supervisor.known(instance_id).store
        await until(lambda: disk.refused > 1)
    house.host.play = echo
    disk.full = False
    await until(lambda: house.supervisor.of_agent("agent") is not None)
    again = house.supervisor.alive(instance_id)
    late = Client(house, instance_id)
    late.say({"type": "process_message", "id": "c-3", "content": {"text": "three"}})
    await until(lambda: [content["text"] for content in contents(again, "stream_end")] == ["one", "three"])
    numbers = [row.seq for row in events(again)]
    assert numbers == list(range(1, len(numbers) + 1))
    late.leave()


class FullCatalog:
    """A catalog that can't be written while `full`."""

    def __init__(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        self._set_status = catalog.set_status
        monkeypatch.setattr(catalog, "set_status", self._refusing)

    def _refusing(self, *values: Any, **more: Any) -> None:
        if self.full:
            raise StoreFullError("catalog", "no space left")
        self._set_status(*values, **more)


@pytest.mark.noisy("catalog_not_written")
async def test_an_agent_comes_to_rest_though_the_catalog_can_not_be_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await house.create()
    catalog = house.supervisor.parts.catalog
    disk = FullCatalog(catalog, monkeypatch)
    instance.life.sleep()
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    assert not instance.is_open
    assert (entry := catalog.instance(instance.facts.instance_id)) is not None
    assert entry.status is InstanceStatus.READY
    disk.full = False
    await until(lambda: catalog.instance(instance.facts.instance_id).status is InstanceStatus.ASLEEP)  # type: ignore[union-attr]


async def test_databases_stay_closed_as_long_as_the_catalog_can_not_be_told_that_they_are_open(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = await house.create()
    instance.life.sleep()
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy)
    disk = FullCatalog(house.supervisor.parts.catalog, monkeypatch)
    for _ in range(2):
        with pytest.raises(StoreFullError):
            _ = instance.store
        assert not instance.is_open
    disk.full = False
    assert send(instance, "hello").message_id
    await until(lambda: contents(instance, "stream_end") != [])
    entry = house.supervisor.parts.catalog.instance(instance.facts.instance_id)
    assert entry is not None
    assert entry.status is InstanceStatus.READY


async def test_a_host_that_is_drained_lets_go_of_who_comes_and_says_it_only_to_who_can_not_go_elsewhere_by_itself(
    house: House,
) -> None:
    instance = await house.create()
    house.supervisor.draining = True
    direct = Client(house, instance.facts.instance_id)
    assert (direct.receive(), direct.close_code) == ([], CloseCode.MOVING)
    gateway = Client(house, instance.facts.instance_id, podium_sync="00" * 16)
    assert (gateway.receive(), gateway.close_code) == ([], None)
    assert gateway.wire.is_closing()
    house.supervisor.draining = False
