"""Data that another host has newer ones of are kept for a person to look into, as long as there is room for them."""

import shutil
from collections import namedtuple

import pytest

from podium.coordinator.supervisor.adoptions import STALE_FREE_SHARE, STALE_PREFIX
from podium.coordinator.supervisor.moved import MOVED
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House

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
