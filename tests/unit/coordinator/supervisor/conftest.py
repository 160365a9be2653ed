"""A coordinator without its network, checked for every invariant when the test is over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from tests.unit.coordinator.twins import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.open()
    yield house
    await house.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def timed_house(tmp_path: Path, clock: ManualClock) -> AsyncIterator[House]:
    """The same on a clock that moves when told to."""
    house = House(tmp_path, clock=clock)
    await house.open()
    yield house
    await house.close()
