"""What a host does with agents that another host has taken: their data are kept while there is room, who asks for them asks again."""

import shutil
from collections import namedtuple

import pytest

from podium.coordinator.supervisor.adoptions import STALE_FREE_SHARE, STALE_PREFIX
from podium.coordinator.supervisor.moved import MOVED
from podium.wire.close import CloseCode
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House
from tests.unit.coordinator.wires import Client

Usage = namedtuple("Usage", "total used free")


@pytest.mark.noisy("stale_data_put_aside", "stale_data_removed")
@pytest.mark.parametrize(("free", "kept"), [(STALE_FREE_SHARE, True), (STALE_FREE_SHARE - 0.01, False)])
async def test_stale_data_are_kept_while_there_is_room(
    house: House, monkeypatch: pytest.MonkeyPatch, free: float, *, kept: bool
) -> None:
    instance = await house.create()
    await house.supervisor.stop(instance)
    catalog = house.supervisor.parts.catalog
    catalog.set_status(instance.facts.instance_id, InstanceStatus.TERMINATED, reason=MOVED)
    older = house.directory / "agents" / f"{STALE_PREFIX}older"
    older.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 1000 - 1000 * free, 1000 * free))
    await house.crash()
    assert not (house.directory / "agents" / "agent").exists()
    assert (house.directory / "agents" / f"{STALE_PREFIX}agent").exists() is kept
    assert older.exists() is kept


async def test_who_asks_for_an_agent_that_another_host_took_is_told_to_ask_again(house: House) -> None:
    instance = await house.create()
    instance_id = instance.facts.instance_id
    await house.supervisor.stop(instance)
    house.supervisor.parts.catalog.set_status(instance_id, InstanceStatus.TERMINATED, reason=MOVED)
    gateway = Client(house, instance_id, podium_sync="00" * 16)
    assert (gateway.receive(), gateway.close_code, gateway.wire.is_closing()) == ([], None, True)
    direct = Client(house, instance_id)
    assert (direct.receive(), direct.close_code) == ([], CloseCode.NOT_FOUND)
