import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from podium.coordinator.adapters.catalog import FILE, AgentEntry, Catalog, InstanceEntry
from podium.coordinator.adapters.store import (
    StoreClosedError,
    StoreConflictError,
    StoreDamagedError,
    StoreTooNewError,
    StoreUnavailableError,
)
from podium.wire.manifest import LimitsTable
from podium.wire.rest import Deployment
from podium.wire.status import ALIVE, OVER, InstanceStatus

DEPLOYMENT = Deployment("echo:1.0.0@01234567", "echo", "1.0.0", "sha256:" + "0" * 64, 10, "python", 1)
NEWER = msgspec.structs.replace(DEPLOYMENT, deployment_id="echo:1.1.0@89abcdef", version="1.1.0")

Opened = Callable[[], Catalog]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Opens the catalog of the test's directory; what it opened is validated and closed at the end."""
    catalogs: list[Catalog] = []

    def open_it() -> Catalog:
        catalogs.append(Catalog.open(tmp_path))
        return catalogs[-1]

    yield open_it
    assert catalogs[-1].validate() == []
    for catalog in catalogs:
        catalog.close()


def entry(number: int, agent_id: str = "agt-1", status: InstanceStatus = InstanceStatus.DEPLOYING) -> InstanceEntry:
    return InstanceEntry(f"inst-{number}", agent_id, "acme", DEPLOYMENT, 1000 + number, status)


def with_agents(catalog: Catalog, count: int) -> Catalog:
    for number in range(1, count + 1):
        catalog.ensure_agent(f"agt-{number}", "acme", DEPLOYMENT, 500)
    return catalog


def test_everything_of_an_instance_is_there_after_a_restart(opened: Opened) -> None:
    catalog = with_agents(opened(), 1)
    whole = InstanceEntry(
        "inst-1",
        "agt-1",
        "acme",
        DEPLOYMENT,
        1234,
        InstanceStatus.ASLEEP,
        config={"model": {"name": "x"}},
        runtime_config={"a": [1, 2]},
        limits=LimitsTable(memory="64MiB", processes=3),
        sealed=b"\x00\xff sealed",
        idle_timeout="15m",
        reason="idle",
        epoch=7,
        restarts=2,
    )
    catalog.put_instance(whole)
    catalog.close()
    catalog = opened()
    assert catalog.instance("inst-1") == whole
    assert catalog.instances() == [whole]
    assert catalog.instance("inst-2") is None


def test_an_agent_is_made_once_and_remembers_its_last_deployment(opened: Opened) -> None:
    catalog = opened()
    made = catalog.ensure_agent("agt-1", "acme", DEPLOYMENT, 500)
    assert made == AgentEntry("agt-1", "acme", "echo", DEPLOYMENT.deployment_id, 0, 500)
    again = catalog.ensure_agent("agt-1", "acme", NEWER, 900)
    assert again == msgspec.structs.replace(made, last_deployment_id=NEWER.deployment_id)
    assert catalog.agent("agt-1") == again
    assert catalog.agent("agt-2") is None


def test_an_agent_of_another_tenant_is_refused(opened: Opened) -> None:
    catalog = with_agents(opened(), 1)
    with pytest.raises(StoreConflictError, match="another tenant"):
        catalog.ensure_agent("agt-1", "other", DEPLOYMENT, 900)


def test_uid_slots_are_small_unique_and_free_again_once_the_agent_is_removed(opened: Opened) -> None:
    catalog = with_agents(opened(), 4)
    assert [agent.uid_slot for agent in catalog.agents()] == [0, 1, 2, 3]
    assert catalog.remove_agent("agt-2")
    assert catalog.remove_agent("agt-1")
    assert not catalog.remove_agent("agt-1")
    assert [catalog.ensure_agent(f"agt-{n}", "acme", DEPLOYMENT, 1).uid_slot for n in (7, 8, 9)] == [0, 1, 4]


def test_an_agent_with_a_living_instance_is_not_removed(opened: Opened) -> None:
    catalog = with_agents(opened(), 1)
    catalog.put_instance(entry(1))
    with pytest.raises(StoreConflictError, match="is alive"):
        catalog.remove_agent("agt-1")
    catalog.set_status("inst-1", InstanceStatus.TERMINATED)
    assert catalog.remove_agent("agt-1")
    assert catalog.instances() == []


def test_one_living_instance_per_agent(opened: Opened) -> None:
    catalog = with_agents(opened(), 1)
    catalog.put_instance(entry(1))
    with pytest.raises(StoreConflictError):
        catalog.put_instance(entry(2))
    catalog.set_status("inst-1", InstanceStatus.FAILED, reason="gave up")
    catalog.put_instance(entry(2))
    alive = catalog.alive_instance("agt-1")
    assert alive is not None
    assert alive.instance_id == "inst-2"
    assert [found.instance_id for found in catalog.instances("agt-1")] == ["inst-1", "inst-2"]


def test_an_instance_needs_its_agent(opened: Opened) -> None:
    with pytest.raises(StoreConflictError):
        opened().put_instance(entry(1))


def test_putting_an_instance_again_changes_it_and_keeps_its_place(opened: Opened) -> None:
    catalog = with_agents(opened(), 2)
    catalog.put_instance(entry(1))
    catalog.put_instance(entry(2, "agt-2"))
    changed = msgspec.structs.replace(entry(1), config={"a": 1}, epoch=3)
    catalog.put_instance(changed)
    assert catalog.instances() == [changed, entry(2, "agt-2")]


def test_statuses_that_change_with_turns_are_stored_as_ready_and_write_nothing(opened: Opened, tmp_path: Path) -> None:
    catalog = with_agents(opened(), 1)
    catalog.put_instance(entry(1, status=InstanceStatus.READY))
    log = tmp_path / f"{FILE}-wal"
    before = log.stat().st_size
    for status in (InstanceStatus.RUNNING, InstanceStatus.WAITING, InstanceStatus.READY):
        catalog.set_status("inst-1", status)
    assert log.stat().st_size == before
    found = catalog.instance("inst-1")
    assert found is not None
    assert found.status == InstanceStatus.READY


def test_a_status_changes_with_its_reason_and_the_numbers_given(opened: Opened) -> None:
    catalog = with_agents(opened(), 1)
    catalog.put_instance(msgspec.structs.replace(entry(1), epoch=4))
    catalog.set_status("inst-1", InstanceStatus.FAILED, reason="crashed", restarts=3)
    found = catalog.instance("inst-1")
    assert found is not None
    assert (found.status, found.reason, found.restarts, found.epoch) == (InstanceStatus.FAILED, "crashed", 3, 4)
    with pytest.raises(StoreConflictError, match="inst-9 is unknown"):
        catalog.set_status("inst-9", InstanceStatus.READY)


def test_an_instance_can_be_forgotten(opened: Opened) -> None:
    catalog = with_agents(opened(), 1)
    catalog.put_instance(entry(1))
    assert catalog.remove_instance("inst-1")
    assert not catalog.remove_instance("inst-1")


@pytest.mark.parametrize("status", InstanceStatus)
def test_the_schema_means_the_same_by_alive_as_the_wire(opened: Opened, status: InstanceStatus) -> None:
    catalog = with_agents(opened(), 1)
    catalog.put_instance(entry(1, status=status))
    assert (catalog.alive_instance("agt-1") is not None) == (status in ALIVE)
    assert set(InstanceStatus) == OVER | ALIVE


def test_the_file_is_readable_by_its_owner_alone(opened: Opened, tmp_path: Path) -> None:
    opened()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_making_and_removing_an_agent_is_synced_to_disk_and_nothing_else(opened: Opened) -> None:
    catalog = opened()
    synced: list[str] = []
    catalog._connection.set_trace_callback(
        lambda sql: synced.append(sql) if sql.startswith(("PRAGMA", "COM")) else None
    )
    catalog.ensure_agent("agt-1", "acme", DEPLOYMENT, 500)
    assert synced == ["PRAGMA synchronous = FULL", "COMMIT"]
    synced.clear()
    catalog.ensure_agent("agt-1", "acme", DEPLOYMENT, 500)
    assert synced == []
    catalog.put_instance(entry(1))
    catalog.set_status("inst-1", InstanceStatus.TERMINATED)
    assert synced == ["PRAGMA synchronous = NORMAL", "COMMIT"] * 2
    synced.clear()
    catalog.remove_agent("agt-1")
    assert synced == ["PRAGMA synchronous = FULL", "COMMIT"]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE instance SET agent_id = 'agt-9'", "instance inst-1 is of agent agt-9, which is unknown"),
        ("UPDATE instance SET tenant_id = 'x'", "instance inst-1 is of tenant x, its agent of another"),
        ("UPDATE agent SET uid_slot = -1", "agent agt-1 has the uid slot -1, which is none"),
        ("UPDATE instance SET status = 'running'", "instance inst-1 has the status running, which is never stored"),
        ("UPDATE instance SET status = 'lost'", "instance inst-1 can't be read: 'lost' is not a valid InstanceStatus"),
        ("UPDATE instance SET config = '['", "instance inst-1 can't be read"),
        ("UPDATE instance SET deployment = '{}'", "instance inst-1 can't be read"),
    ],
)
def test_damage_is_found(tmp_path: Path, sql: str, told: str) -> None:
    catalog = with_agents(Catalog.open(tmp_path), 1)
    catalog.put_instance(entry(1))
    assert catalog.validate() == []
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as connection:
        connection.execute(sql)
    assert [text for text in catalog.validate() if text.startswith(f"catalog: {told}")]
    catalog.close()


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path)
    catalog.close()
    with pytest.raises(StoreClosedError):
        catalog.agents()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreTooNewError):
        Catalog.open(tmp_path)
    (tmp_path / FILE).write_bytes(b"no database at all, not even close to one" * 100)
    with pytest.raises(StoreDamagedError):
        Catalog.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError):
        Catalog.open(tmp_path / "file" / "below")
