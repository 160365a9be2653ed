"""The registry of a tenant, on real files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diminuendo.domain.members import MemberRefusedError, Role
from diminuendo.domain.sessions import SessionState
from diminuendo.storage.errors import SessionExistsError, SessionUnknownError, StorageError
from diminuendo.storage.places import Places
from diminuendo.storage.registry import Registry
from podium.base.clock import ManualClock

A, B, C = (f"sess-{letter * 16}" for letter in "abc")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000)


@pytest.fixture
def registry(tmp_path: Path, clock: ManualClock) -> Iterator[Registry]:
    made = Registry.open(Places(tmp_path).registry("t1"), "t1", clock)
    yield made
    made.close()


def test_a_new_session_is_inactive_and_outlives_the_process(
    registry: Registry, tmp_path: Path, clock: ManualClock
) -> None:
    made = registry.create(A, "coder", "ann", "fix it", {"repo": "x"})
    assert (made.state, made.instance_id, made.archived, made.agent_id) == (SessionState.INACTIVE, None, False, A)
    registry.close()
    again = Registry.open(Places(tmp_path).registry("t1"), "t1", clock)
    assert again.find(A) == made
    assert again.find(B) is None
    again.close()


def test_an_id_is_given_once(registry: Registry) -> None:
    registry.create(A, "coder", "ann")
    with pytest.raises(SessionExistsError):
        registry.create(A, "other", "bob")
    assert [record.agent_type for record in registry.sessions()] == ["coder"]


def test_sessions_are_listed_by_their_last_change_and_archived_ones_on_demand(
    registry: Registry, clock: ManualClock
) -> None:
    for session_id in (A, B, C):
        registry.create(session_id, "coder", "ann")
        clock.advance(1)
    registry.rename(A, "new")
    clock.advance(1)
    registry.archive(B, archived=True)
    assert [record.session_id for record in registry.sessions()] == [A, C]
    assert [record.session_id for record in registry.sessions(include_archived=True)] == [B, A, C]
    assert registry.archive(B, archived=False).archived is False
    assert registry.sessions()[0].session_id == B


def test_a_state_is_written_with_its_instance_and_unsettled_ones_are_found(registry: Registry) -> None:
    for session_id in (A, B, C):
        registry.create(session_id, "coder", "ann")
    registry.enter(A, SessionState.RUNNING, "inst-1")
    registry.enter(B, SessionState.ERROR, None)
    assert [(record.session_id, record.state, record.instance_id) for record in registry.unsettled()] == [
        (A, SessionState.RUNNING, "inst-1")
    ]
    facts = registry.unsettled()[0].facts("t1")
    assert (facts.created_by, facts.state) == ("ann", SessionState.RUNNING)


def test_what_is_not_there_can_not_be_changed(registry: Registry) -> None:
    for change in (
        lambda: registry.rename(A, "x"),
        lambda: registry.archive(A, archived=True),
        lambda: registry.enter(A, SessionState.READY, None),
        lambda: registry.delete(A),
    ):
        with pytest.raises(SessionUnknownError):
            change()


def test_a_deleted_session_is_gone_with_its_files(registry: Registry, tmp_path: Path) -> None:
    places = Places(tmp_path)
    registry.create(A, "coder", "ann")
    places.session(A).parent.mkdir(parents=True)
    places.session(A).write_bytes(b"x")
    registry.delete(A)
    places.remove_session(A)
    places.remove_session(A)
    assert registry.find(A) is None
    assert not places.session(A).parent.exists()


def test_members_are_changed_by_the_rules_or_not_at_all(registry: Registry) -> None:
    assert registry.change_member(Role.OWNER, "ann", Role.OWNER) == {"ann": Role.OWNER}
    assert registry.change_member(Role.OWNER, "bob", Role.ADMIN)["bob"] is Role.ADMIN
    assert registry.change_member(Role.ADMIN, "bob", Role.VIEWER)["bob"] is Role.VIEWER
    with pytest.raises(MemberRefusedError, match="last owner"):
        registry.change_member(Role.OWNER, "ann", None)
    assert registry.members() == {"ann": Role.OWNER, "bob": Role.VIEWER}
    assert registry.change_member(Role.OWNER, "bob", None) == {"ann": Role.OWNER}


@pytest.mark.proves("DIM-LAST-OWNER")
def test_of_two_owners_that_leave_one_stays(registry: Registry) -> None:
    for name in ("ann", "bob"):
        registry.change_member(Role.OWNER, name, Role.OWNER)
    registry.change_member(Role.OWNER, "ann", None)
    with pytest.raises(MemberRefusedError):
        registry.change_member(Role.OWNER, "bob", None)
    assert registry.members() == {"bob": Role.OWNER}


def test_a_registry_is_open_once_at_a_time_and_belongs_to_one_tenant(
    registry: Registry, tmp_path: Path, clock: ManualClock
) -> None:
    path = Places(tmp_path).registry("t1")
    with pytest.raises(StorageError, match="locked"):
        Registry.open(path, "t1", clock)
    registry.close()
    with pytest.raises(StorageError, match="belongs to tenant t1"):
        Registry.open(path, "t2", clock)
    assert Places(tmp_path).tenants() == ["t1"]


@pytest.mark.parametrize("name", ["", "..", "../t1", "a/b", ".hidden", "a" * 64])
def test_no_id_leads_out_of_the_data_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="tenant id"):
        Places(tmp_path).registry(name)
    with pytest.raises(ValueError, match="session id"):
        Places(tmp_path).session(name)


def test_a_list_is_read_in_pages(registry: Registry, clock: ManualClock) -> None:
    for number in range(5):
        registry.create(f"sess-{'abcde'[number] * 16}", "coder", "ann", name=str(number))
        clock.advance(1)
    assert [record.name for record in registry.sessions(offset=1, limit=2)] == ["3", "2"]
    assert [record.name for record in registry.sessions(offset=4)] == ["0"]
