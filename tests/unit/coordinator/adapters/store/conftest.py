from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, StoreClosedError, StoreOptions
from tests.unit.coordinator.adapters.store.writing import AGENT, Opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "agents" / AGENT


@pytest.fixture
def opened(directory: Path, clock: ManualClock) -> Iterator[Opened]:
    stores: list[AgentStore] = []

    def open_it(options: StoreOptions | None = None) -> AgentStore:
        stores.append(AgentStore.open(directory, AGENT, clock, options))
        return stores[-1]

    yield open_it
    for store in stores:
        with suppress(StoreClosedError):
            assert store.validate() == []
        store.close()
