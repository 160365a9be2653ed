"""What a host that goes on with an agent fills its journal with."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import AgentRecord
from podium.coordinator.adapters.catalog import InstanceEntry
from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.adapters.store import AgentStore
from podium.coordinator.supervisor.lost_tails import LostTails
from podium.wire.manifest import LimitsTable
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House

pytestmark = pytest.mark.noisy("tail_lost")


async def lost(
    house: House, restored: Path, *, shown: int, status: InstanceStatus, here: str = "coord-9"
) -> InstanceEntry:
    """An agent that another host had, of which two events were restored; the record that host left behind."""
    instance = await house.create()
    entry = house.supervisor.parts.catalog.instance(instance.facts.instance_id)
    assert entry is not None
    entry = msgspec.structs.replace(entry, agent_id="lost", instance_id="inst-lost")
    record = house.supervisor.records.of(instance)
    record = msgspec.structs.replace(
        record, agent_id="lost", instance_id="inst-lost", coordinator_id=here, shown=shown, status=status
    )
    await house.discovery.put_instances([record])
    with closing(AgentStore.open(restored, "lost", ManualClock())) as store, store.batch() as batch:
        for _ in range(2):
            batch.event("state.status", b"{}", instance_id="inst-lost")
    return entry


def kinds(restored: Path) -> list[str]:
    with closing(AgentStore.open(restored, "lost", ManualClock())) as store:
        assert store.validate() == []
        return [row.type for row in store.events(0, 1000)]


@pytest.mark.parametrize(
    ("status", "here", "seen", "filled"),
    [
        (InstanceStatus.READY, "coord-9", 0, 3),
        (InstanceStatus.READY, "coord-9", 7, 5),
        (InstanceStatus.RUNNING, "coord-9", 0, 23),
        (InstanceStatus.RUNNING, "", 0, 3),
        (InstanceStatus.ASLEEP, "coord-9", 10_000, 23),
    ],
)
async def test_the_journal_is_filled_up_to_what_can_have_been_shown(
    house: House, tmp_path: Path, status: InstanceStatus, here: str, seen: int, filled: int
) -> None:
    entry = await lost(house, tmp_path / "restored", shown=5, status=status, here=here)
    tails = LostTails(house.supervisor, margin=20)
    tails.seen("lost", seen)
    await tails.fill(entry, tmp_path / "restored")
    assert kinds(tmp_path / "restored") == ["state.status"] * 2 + ["event.lost"] * filled


async def test_of_an_agent_that_shows_only_what_is_replicated_nothing_is_lost(house: House, tmp_path: Path) -> None:
    entry = await lost(house, tmp_path / "restored", shown=2, status=InstanceStatus.RUNNING)
    entry = msgspec.structs.replace(entry, limits=LimitsTable(durability="sync"))
    await LostTails(house.supervisor).fill(entry, tmp_path / "restored")
    assert kinds(tmp_path / "restored") == ["state.status"] * 2


async def test_a_later_instance_of_the_agent_counts(house: House, tmp_path: Path) -> None:
    entry = await lost(house, tmp_path / "restored", shown=5, status=InstanceStatus.TERMINATED)
    later = await house.discovery.instance("inst-lost")
    assert later is not None
    await house.discovery.put_instances([msgspec.structs.replace(later, instance_id="inst-later", shown=9)])
    await house.discovery.put_agent(
        AgentRecord("lost", "default", "echo", "echo:1.0.0@00000000", 1, 0, "inst-later", "coord-9")
    )
    await LostTails(house.supervisor).fill(entry, tmp_path / "restored")
    assert len(kinds(tmp_path / "restored")) == 9


async def test_damaged_files_are_not_gone_on_with(house: House, tmp_path: Path) -> None:
    entry = await lost(house, tmp_path / "restored", shown=2, status=InstanceStatus.READY)
    (tmp_path / "restored/messages/messages.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ReplicaUnavailableError):
        await LostTails(house.supervisor).fill(entry, tmp_path / "restored")
