"""A client whose agent is between hosts when it comes: it is held until somebody has the agent, and hears nothing of it."""

import pytest

from podium.base.discovery import CoordinatorRecord
from tests.system.gateway.conftest import House
from tests.system.gateway.stub import LOAD
from tests.system.gateway.test_streams import INSTANCE, _close_code, _read
from tests.waiting import wait_until


async def _announce(house: House, coordinator_id: str, port: int) -> None:
    """A coordinator whose agents go on elsewhere when it is gone."""
    record = CoordinatorRecord(coordinator_id, f"http://127.0.0.1:{port}", "0", 0, "active", LOAD, replicated=True)
    await house.discovery.announce(record)


@pytest.mark.proves("GATEWAY-REATTACHES")
@pytest.mark.parametrize("cut", [0, 1, 40])
async def test_a_coordinator_that_hangs_up_before_it_greets_is_asked_again(house: House, cut: int) -> None:
    await house.instance()
    house.stub.publish("one")
    house.stub.breaks = [cut, 0, 0]
    async with house.connect(INSTANCE, 0) as socket:
        assert (await socket.receive_json(timeout=20))["messageType"] == "connected"
        house.stub.publish("two")
        await _read(socket, 2)
    assert len(house.stub.dialed) == 4


@pytest.mark.proves("GATEWAY-REATTACHES")
async def test_a_client_that_comes_while_its_coordinator_is_away_is_held(house: House) -> None:
    await house.instance()
    await _announce(house, house.stub.coordinator_id, 1)  # nobody is there
    house.stub.publish("one")
    async with house.connect(INSTANCE, 0, protocols=["podium.v1"]) as socket:
        assert socket.protocol == "podium.v1"
        await socket.send_str('{"type":"process_message","id":"c1"}')
        await _announce(house, house.stub.coordinator_id, house.stub.port)
        assert (await socket.receive_json(timeout=20))["messageType"] == "connected"
        await _read(socket, 1)
        await wait_until(lambda: len(house.stub.commands) == 1)


async def test_a_client_is_not_held_for_ever(house: House) -> None:
    object.__setattr__(house.gateway.parts.options, "reattach_seconds", 0.3)
    await house.instance()
    await _announce(house, house.stub.coordinator_id, 1)
    async with house.connect(INSTANCE) as socket:
        assert await _close_code(socket) == 1012
    house.stub.breaks = [0] * 1_000
    await _announce(house, house.stub.coordinator_id, house.stub.port)
    async with house.connect(INSTANCE) as socket:
        assert await _close_code(socket) == 1012


async def test_a_client_that_leaves_while_it_is_held_is_forgotten(house: House) -> None:
    await house.instance()
    await _announce(house, house.stub.coordinator_id, 1)
    async with house.connect(INSTANCE):
        assert len(house.gateway._door) == 1
    await wait_until(lambda: len(house.gateway._door) == 0)
