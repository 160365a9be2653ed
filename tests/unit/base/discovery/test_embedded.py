"""What only the file can get wrong: reboots, foreign files, locks of others, keys as people see them."""

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.base.discovery import (
    AgentRecord,
    CoordinatorRecord,
    DiscoveryUnavailableError,
    InstanceRecord,
    KeyRecord,
    Lease,
    Notice,
)
from podium.base.discovery import embedded as module
from podium.base.discovery.embedded import PRUNE_SECONDS, EmbeddedDiscovery
from podium.base.discovery.statements import NOTICE_LIFE_SECONDS
from podium.wire.rest import Load
from podium.wire.status import InstanceStatus

COORDINATOR = CoordinatorRecord("c1", "http://c1", "1.0", 5, "active", Load(1, 10, 0.5, 1, 2))
INSTANCE = InstanceRecord("inst-1", "a", "acme", "echo", "echo:1@0", "c1", 1, InstanceStatus.READY, 3)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "discovery.db"


async def test_everything_is_there_again_after_a_restart_and_leases_still_hold(path: Path) -> None:
    clock = ManualClock()
    before = EmbeddedDiscovery.open(path, clock, "boot 1")
    await before.announce(COORDINATOR)
    await before.put_instances([INSTANCE])
    await before.acquire_lease("a", "c1")
    await before.take_token("b", 1.0, 1)
    await before.close()
    after = EmbeddedDiscovery.open(path, clock, "boot 1")
    assert await after.coordinators() == [COORDINATOR]
    assert await after.instance("inst-1") == INSTANCE
    assert await after.acquire_lease("a", "c2") is None
    assert await after.take_token("b", 1.0, 1) == 1.0
    await after.close()


@pytest.mark.proves("EPOCH-ONLY-GROWS")
async def test_after_a_reboot_no_coordinator_is_left_every_lease_is_free_and_epochs_go_on(path: Path) -> None:
    clock = ManualClock()
    clock.advance(1_000_000)  # the host had been up for long: its monotonic times lie far ahead of the next boot's
    before = EmbeddedDiscovery.open(path, clock, "boot 1")
    await before.announce(COORDINATOR)
    await before.put_agent(AgentRecord("a", "acme", "echo", "echo:1@0", 1, 3))
    await before.acquire_lease("a", "c1")
    await before.take_token("b", 1.0, 1)
    await before.close()
    after = EmbeddedDiscovery.open(path, ManualClock(), "boot 2")
    assert await after.coordinators() == []
    assert await after.acquire_lease("a", "c2") == Lease("a", "c2", 3)
    assert await after.take_token("b", 1.0, 1) == 0.0
    await after.close()


async def test_a_step_of_the_wall_clock_moves_no_lease(path: Path) -> None:
    clock = ManualClock()
    discovery = EmbeddedDiscovery.open(path, clock)
    await discovery.acquire_lease("a", "c1")
    clock._now_ms += 3_600_000
    assert await discovery.acquire_lease("a", "c2") is None
    await discovery.close()


async def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    discovery = EmbeddedDiscovery.open(path, ManualClock())
    await discovery.put_agent(AgentRecord("a", "acme", "echo", "echo:1@0", 1, 3))
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    await discovery.close()
    assert modes == {"discovery.db": 0o600, "discovery.db-wal": 0o600, "discovery.db-shm": 0o600}


async def test_the_file_can_be_read_by_the_keys_of_the_documentation(path: Path) -> None:
    discovery = EmbeddedDiscovery.open(path, ManualClock())
    await discovery.announce(COORDINATOR)
    await discovery.put_instances([INSTANCE])
    await discovery.put_agent(AgentRecord("a", "acme", "echo", "echo:1@0", 1, 3))
    await discovery.acquire_lease("a", "c1")
    await discovery.put_key(KeyRecord("k1", "hash", "acme", ["admin"], 1))
    await discovery.set_secrets("acme", "echo", {"A": "box", "B": "box"})
    await discovery.set_config({"model": "m"})
    await discovery.claim("acme", "key", "f", {"id": 1}, 60)
    await discovery.take_token("messages:acme", 1.0, 5)
    await discovery.close()
    entries = {str(key): json.loads(str(value)) for key, value in rows(path, "SELECT key, value FROM entries")}
    assert set(entries) == {
        "podium:coordinators:c1", "podium:instances:inst-1", "podium:agents:a", "podium:leases:a", "podium:keys:k1",
        "podium:secrets:acme:echo", "podium:config", "podium:idempotency:acme:key", "podium:ratelimit:messages:acme",
    }  # fmt: skip
    assert entries["podium:leases:a"] == {"coordinator_id": "c1", "epoch": 2}
    assert entries["podium:keys:k1"]["permissions"] == ["admin"]
    assert entries["podium:secrets:acme:echo"] == {"A": "box", "B": "box"}
    assert entries["podium:config"] == {"config": {"model": "m"}, "version": 1}


async def test_what_has_run_out_is_removed_in_passing(path: Path) -> None:
    clock = ManualClock()
    discovery = EmbeddedDiscovery.open(path, clock)
    await discovery.announce(COORDINATOR)
    await discovery.publish(Notice("x", {}))
    await discovery.claim("acme", "key", "f", {}, 60)
    await discovery.take_token("b", 1.0, 1)
    clock.advance(NOTICE_LIFE_SECONDS + PRUNE_SECONDS + 24 * 3600)
    await discovery.check()
    await discovery.close()
    for table in ("coordinators", "notices", "idempotency", "ratelimit"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)], table


async def test_a_notice_is_not_heard_twice_when_old_ones_are_pruned(path: Path) -> None:
    clock = ManualClock()
    discovery = EmbeddedDiscovery.open(path, clock)
    subscription = discovery.subscribe("x")
    for number in range(3):
        await discovery.publish(Notice("x", {"n": number}))
        assert (await anext(subscription)).payload == {"n": number}
        clock.advance(NOTICE_LIFE_SECONDS + PRUNE_SECONDS + 1)
    await discovery.close()


async def test_a_process_that_was_stopped_while_notices_were_removed_is_told(path: Path) -> None:
    clock = ManualClock()
    stopped, other = EmbeddedDiscovery.open(path, clock), EmbeddedDiscovery.open(path, clock)
    subscription = stopped.subscribe("x")
    assert stopped._watch is not None
    stopped._watch.cancel()
    for last in (False, True):
        await other.publish(Notice("x", {"n": 1}))
        clock.advance(NOTICE_LIFE_SECONDS + PRUNE_SECONDS + 1)
        await other.check()
        if last:
            await other.publish(Notice("x", {"n": 2}))
        stopped._watch_others()
        stopped._watch.cancel()
        assert await anext(subscription) == Notice("x", {}, missed=True)
    assert await anext(subscription) == Notice("x", {"n": 2})
    await stopped.close()
    await other.close()


async def test_a_file_that_is_not_ours_is_refused_by_name(path: Path) -> None:
    content = b"no database at all, just some text" * 10
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DiscoveryUnavailableError, match=r"discovery\.db"):
        EmbeddedDiscovery.open(path, ManualClock())
    assert path.read_bytes() == content


async def test_a_newer_file_is_refused(path: Path) -> None:
    await EmbeddedDiscovery.open(path, ManualClock()).close()
    rows(path, "PRAGMA user_version = 99")
    with pytest.raises(DiscoveryUnavailableError, match="newer release"):
        EmbeddedDiscovery.open(path, ManualClock())


async def test_reads_go_on_while_another_holds_the_lock_and_writes_say_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.base.sqlite.BUSY_TIMEOUT_MS", 50)
    discovery = EmbeddedDiscovery.open(path, ManualClock())
    await discovery.put_instances([INSTANCE])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM instances")
    assert await discovery.instance("inst-1") == INSTANCE
    with pytest.raises(DiscoveryUnavailableError, match="locked"):
        await discovery.check()
    other.execute("ROLLBACK")
    other.close()
    await discovery.check()
    await discovery.close()


async def test_what_must_survive_a_loss_of_power_waits_for_the_disk_and_only_that(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    discovery = EmbeddedDiscovery.open(path, ManualClock())
    said: list[str] = []
    discovery._writer.set_trace_callback(said.append)
    await discovery.acquire_lease("a", "c1")
    assert [line for line in said if "synchronous" in line] == [
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
    ]
    said.clear()
    await discovery.put_instances([INSTANCE])
    assert not any("synchronous" in line for line in said)
    await discovery.close()


async def test_an_idle_process_without_subscribers_has_no_timer(path: Path) -> None:
    discovery = EmbeddedDiscovery.open(path, ManualClock())
    assert discovery._watch is None
    subscription = discovery.subscribe("x")
    assert discovery._watch is not None
    await subscription.aclose()
    discovery._watch_others()
    assert discovery._watch is None
    await discovery.close()


def test_the_host_has_a_boot_identity_or_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "boot_id").write_text("abc\n")
    monkeypatch.setattr(module, "_BOOT_ID", tmp_path / "boot_id")
    assert module.host_boot_id() == "abc"
    monkeypatch.setattr(module, "_BOOT_ID", tmp_path / "missing")
    assert module.host_boot_id() == ""
