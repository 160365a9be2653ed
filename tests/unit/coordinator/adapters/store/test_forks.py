"""Sealing, forking, folding: what two agents share, and what each has for itself."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import (
    AgentStore,
    MomentRow,
    StoreBusyError,
    StoreConflictError,
    StoreDamagedError,
    StoreError,
    StoreOptions,
    validate_directory,
)
from podium.coordinator.adapters.store.database import MESSAGES, read_only
from podium.coordinator.adapters.store.folding import first_to_fold
from podium.coordinator.adapters.store.moments import Moment, shown_ranges
from podium.coordinator.adapters.store.segments import CHAIN_MAX
from tests.unit.coordinator.adapters.store.writing import (
    AGENT,
    INSTANCE,
    Opened,
    accept,
    ask,
    encode,
    finish,
    give_state,
    resolve,
    set_count,
    start,
    tamper,
    whole_turn,
)

FORK = "agt-fork"


@pytest.fixture
def store(opened: Opened) -> AgentStore:
    """Three turns; the state counts them."""
    store = opened()
    give_state(store, {"count": 0})
    for number in (1, 2, 3):
        whole_turn(store, f"m{number}", ops=set_count(number))
    return store


@pytest.fixture
def fork_directory(directory: Path) -> Path:
    return directory.parent / FORK


@pytest.fixture
def forks(clock: ManualClock) -> Iterator[list[AgentStore]]:
    """Forks opened here are validated and closed."""
    made: list[AgentStore] = []
    yield made
    for each in made:
        assert each.validate() == []
        each.close()


def forked(store: AgentStore, at: Moment | None, target: Path, forks: list[AgentStore]) -> AgentStore:
    assert at is not None
    if not store.is_sealed(at.seq, at.state_version):
        store.seal()
    store.fork(target, target.name, at.seq, at.state_version)
    forks.append(AgentStore.open(target, target.name, ManualClock()))
    return forks[-1]


def test_a_sealed_store_reads_as_before_and_goes_on(store: AgentStore, opened: Opened) -> None:
    events, conversation = store.events(0, 1000), store.conversation(100)
    turn = store.turn("turn-m2")
    store.seal()
    assert store.events(0, 1000) == events
    assert store.conversation(100) == conversation
    assert store.conversation(2, before=store.head_seq + 1) == conversation[-2:]
    assert store.turn("turn-m2") == turn
    whole_turn(store, "m4", ops=set_count(4))
    store.close()
    again = opened()
    assert again.events(0, 1000)[: len(events)] == events
    assert again.state().data == b'{"count":4}'
    assert again.state(2).data == b'{"count":1}'
    assert [row.turn_id for row in again.checkpoints()] == [f"turn-m{number}" for number in (1, 2, 3, 4)]


def test_nothing_new_is_not_sealed_again(store: AgentStore, directory: Path) -> None:
    store.seal()
    store.seal()
    assert [path.name for path in (directory / "messages").glob("segment-*")] == ["segment-1.db"]


def test_a_fork_has_the_past_up_to_its_moment_and_its_own_future(
    store: AgentStore, fork_directory: Path, forks: list[AgentStore]
) -> None:
    fork = forked(store, store.moments.of_turn("turn-m2"), fork_directory, forks)
    assert fork.events(0, 1000) == store.events(0, 1000, fork.head_seq)
    assert fork.state().data == b'{"count":2}'
    assert fork.turn("turn-m2") is not None
    assert fork.turn("turn-m3") is None
    whole_turn(fork, "mine", ops=set_count(20))
    whole_turn(store, "theirs", ops=set_count(30))
    assert (fork.state().data, store.state().data) == (b'{"count":20}', b'{"count":30}')
    assert store.turn("turn-mine") is None
    assert fork.turn("turn-theirs") is None
    assert fork.events(fork.head_seq - 1, 10)[0].turn_id == "turn-mine"


def test_an_older_moment_needs_no_seal(store: AgentStore, fork_directory: Path, forks: list[AgentStore]) -> None:
    store.seal()
    whole_turn(store, "m4", ops=set_count(4))
    moment = store.moments.of_turn("turn-m1")
    assert moment is not None
    assert store.is_sealed(moment.seq, moment.state_version)
    assert forked(store, moment, fork_directory, forks).state().data == b'{"count":1}'


def test_what_waited_or_was_open_at_the_moment_stays_with_the_source(
    store: AgentStore, fork_directory: Path, forks: list[AgentStore]
) -> None:
    accept(store, "m4")
    accept(store, "m5")
    start(store, "m4")
    ask(store, "req-open", "turn-m4")
    finish(store, "m4")
    moment = store.moments.of_turn("turn-m4")
    fork = forked(store, moment, fork_directory, forks)
    assert fork.inbox_open() == []
    assert fork.open_requests() == []
    assert [row.message_id for row in store.inbox_open()] == ["m5"]
    assert [row.request_id for row in store.open_requests()] == ["req-open"]
    start(store, "m5")
    resolve(store, "req-open", "allow_once")
    finish(store, "m5")
    assert [row.status for row in store.requests()] == ["resolved"]


def test_a_message_that_ended_after_the_moment_is_not_in_the_forks_inbox(
    store: AgentStore, fork_directory: Path, forks: list[AgentStore]
) -> None:
    accept(store, "m4")
    accept(store, "m5")
    start(store, "m4")
    finish(store, "m4")
    start(store, "m5")
    finish(store, "m5")
    fork = forked(store, store.moments.of_turn("turn-m4"), fork_directory, forks)
    assert fork.turn("turn-m5") is None
    assert fork.inbox_open() == []


def test_commands_are_remembered_over_a_seal_and_forgotten_by_a_fork(
    store: AgentStore, fork_directory: Path, forks: list[AgentStore]
) -> None:
    with store.batch() as batch:
        batch.remember_command("once", b"{}")
        batch.event("stream_update", b"{}", instance_id=INSTANCE)
    fork = forked(store, Moment(store.head_seq, store.state_version, 0), fork_directory, forks)
    assert store.command("once") == b"{}"
    assert fork.command("once") is None
    with store.batch() as batch:
        batch.remember_command("once", b'{"again":1}')
    assert store.command("once") is not None


def test_forks_of_forks_and_erased_sources(
    store: AgentStore, directory: Path, fork_directory: Path, forks: list[AgentStore]
) -> None:
    first = forked(store, store.moments.of_turn("turn-m3"), fork_directory, forks)
    whole_turn(first, "f1", ops=set_count(11))
    second = forked(first, first.moments.of_turn("turn-f1"), directory.parent / "agt-second", forks)
    early = forked(first, first.moments.of_turn("turn-m1"), directory.parent / "agt-early", forks)
    store.close()
    shutil.rmtree(directory)
    assert second.state().data == b'{"count":11}'
    assert early.state().data == b'{"count":1}'
    assert second.events(0, 1000) == first.events(0, 1000, second.head_seq)
    assert validate_directory(fork_directory) == []


def test_a_long_chain_is_folded_and_loses_nothing(
    store: AgentStore, directory: Path, forks: list[AgentStore], opened: Opened
) -> None:
    for number in range(4, 4 + 3 * CHAIN_MAX):
        whole_turn(store, f"m{number}", ops=set_count(number))
        store.seal()
        assert len(read_chain(directory)) <= CHAIN_MAX
    last = store.state_version - 1
    assert [row.seq for row in store.events(0, 10_000)] == list(range(1, store.head_seq + 1))
    assert [store.state(version).data for version in (2, last + 1)] == [b'{"count":1}', b'{"count":%d}' % last]
    assert len(store.checkpoints(1000)) == last
    assert {path.name for path in (directory / "messages").glob("segment-*")} == set(read_chain(directory))
    fork = forked(store, store.moments.of_turn("turn-m7"), directory.parent / FORK, forks)
    assert fork.state().data == b'{"count":7}'


def read_chain(directory: Path) -> list[str]:
    with closing(read_only(MESSAGES, directory)) as messages:
        return [segment.file for segment in messages.chain]


@pytest.mark.parametrize(
    ("sizes", "first"),
    [
        ((1, 1), 0),
        ((100, 1, 1), 1),
        ((4, 2, 1), 0),
        ((100, 40, 10, 5, 5), 0),
        ((400, 50, 10, 5, 5), 2),
        ((1, 1, 1, 1), 0),
    ],
)
def test_what_is_folded_are_the_newest_of_about_the_same_size(sizes: tuple[int, ...], first: int) -> None:
    assert first_to_fold(sizes) == first


def test_snapshots_go_on_over_a_seal(opened: Opened) -> None:
    store = opened(StoreOptions(snapshot_every_deltas=5))
    give_state(store, {"count": 0})
    for number in range(1, 60):
        whole_turn(store, f"m{number}", ops=set_count(number))
        if store.maintenance_due:
            store.maintenance()
        if number % 13 == 0:
            store.seal()
    assert [store.state(number + 1).data for number in (1, 30, 59)] == [b'{"count":%d}' % n for n in (1, 30, 59)]


def test_a_store_that_somebody_reads_is_not_sealed_and_goes_on(store: AgentStore, directory: Path) -> None:
    with closing(read_only(MESSAGES, directory)) as reader:
        reader.rows("SELECT count(*) FROM event")
        with pytest.raises(StoreBusyError):
            store.seal()
        whole_turn(store, "m4", ops=set_count(4))
    store.seal()
    assert store.state().data == b'{"count":4}'


def test_a_batch_in_the_making_is_not_sealed(store: AgentStore) -> None:
    with store.batch(), pytest.raises(StoreBusyError):
        store.seal()


def test_what_is_not_sealed_is_not_forked(store: AgentStore, fork_directory: Path) -> None:
    with pytest.raises(StoreError, match="not sealed"):
        store.fork(fork_directory, FORK, store.head_seq, store.state_version)


def test_a_missing_sealed_file_is_told(store: AgentStore, directory: Path, clock: ManualClock) -> None:
    store.seal()
    store.close()
    sealed = directory / "messages" / "segment-1.db"
    sealed.rename(directory / "elsewhere")
    with pytest.raises(StoreError):
        AgentStore.open(directory, AGENT, clock)
    (directory / "elsewhere").rename(sealed)


# ── taken back ──────────────────────────────────────────────────────────────────────────────────────────────────


def rewind(store: AgentStore, to: Moment | None) -> int:
    """Takes the store back as the coordinator does; the number of the event."""
    assert to is not None
    state = store.state(to.state_version)
    with store.batch() as batch:
        before = batch.heads.version
        batch.replace_state(before + 1, state.schema or 1, state.data, "")
        event = batch.event("agent.rewound", b"{}", instance_id=INSTANCE)
        batch.turn_back(MomentRow(event.seq, "rewind", to.seq, before + 1, to.iteration, before, 0))
    return event.seq


def texts(store: AgentStore) -> list[str]:
    return [message.turn_id for message in store.conversation(1000) if message.role == "user"]


def test_the_conversation_ends_where_the_agent_was_taken_back_to(store: AgentStore) -> None:
    rewind(store, store.moments.of_turn("turn-m1"))
    whole_turn(store, "m4", ops=set_count(9))
    assert texts(store) == ["turn-m1", "turn-m4"]
    assert [message.turn_id for message in store.conversation(3, before=store.head_seq)] == [
        "turn-m1", "turn-m4", "turn-m4",
    ]  # fmt: skip
    assert store.conversation(1, before=3) == store.conversation(1)
    assert [row.seq for row in store.events(0, 1000)] == list(range(1, store.head_seq + 1))


def test_a_rewind_is_undone_by_one_to_the_event_before_it(store: AgentStore) -> None:
    give_state(store, {"count": "between turns"})
    seq = rewind(store, store.moments.of_turn("turn-m1"))
    assert store.state().data == b'{"count":1}'
    before = store.moments.at(seq - 1)
    assert before is not None
    rewind(store, before)
    assert store.state().data == b'{"count":"between turns"}'
    assert texts(store) == ["turn-m1", "turn-m2", "turn-m3"]


def test_a_fork_of_a_rewound_agent_shows_what_it_shows(
    store: AgentStore, fork_directory: Path, forks: list[AgentStore]
) -> None:
    seq = rewind(store, store.moments.of_turn("turn-m1"))
    moment = store.moments.at(seq)
    assert moment == Moment(seq, store.state_version, 0)
    fork = forked(store, moment, fork_directory, forks)
    assert texts(fork) == ["turn-m1"]
    assert fork.state().data == b'{"count":1}'
    early = forked(store, store.moments.of_turn("turn-m2"), fork_directory.with_name("agt-early"), forks)
    assert texts(early) == ["turn-m1", "turn-m2"]


def test_a_rewind_whose_files_are_not_back_is_pending_and_holds_back_a_seal(store: AgentStore) -> None:
    with store.batch() as batch:
        event = batch.event("agent.rewound", b"{}", instance_id=INSTANCE)
        batch.turn_back(MomentRow(event.seq, "rewind", 3, batch.heads.version, 1, 1, 2, pending=True))
    assert store.moments.pending() is not None
    with pytest.raises(StoreBusyError):
        store.seal()
    with store.batch() as batch:
        batch.files_arrived(event.seq)
    assert store.moments.pending() is None
    with pytest.raises(StoreConflictError), store.batch() as batch:
        batch.files_arrived(event.seq)


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("UPDATE moment SET kind = 'fork'", "told by no such event"),
        ("UPDATE moment SET to_seq = seq", "which is newer"),
        ("UPDATE moment SET state_version = 99", "state version 99"),
        ("INSERT INTO moment SELECT seq - 1, kind, 1, 1, 0, 1, 0, 1, ts FROM moment", "rewinds are incomplete"),
    ],
)
def test_damaged_moments_are_found(opened: Opened, directory: Path, clock: ManualClock, sql: str, finding: str) -> None:
    store = AgentStore.open(directory, AGENT, clock)
    give_state(store, {"count": 0})
    whole_turn(store, "m1", ops=set_count(1))
    rewind(store, store.moments.of_turn("turn-m1"))
    store.close()
    tamper(directory, "messages", "UPDATE moment SET pending = 1 WHERE pending = 0")
    tamper(directory, "messages", sql)
    assert any(finding in text for text in validate_directory(directory))


@pytest.mark.parametrize(
    ("turned", "ranges"),
    [
        ([], [(0, None)]),
        ([(20, 10)], [(0, 10), (20, None)]),
        ([(20, 10), (25, 19)], [(0, 19), (25, None)]),
        ([(20, 10), (25, 5)], [(0, 5), (25, None)]),
        ([(20, 10), (30, 22)], [(0, 10), (20, 22), (30, None)]),
        ([(7, 6)], [(0, 6), (7, None)]),
    ],
)
def test_what_is_shown_after_rewinds(turned: list[tuple[int, int]], ranges: list[tuple[int, int | None]]) -> None:
    assert shown_ranges(turned) == ranges


def test_the_newest_moment_not_after_an_event(store: AgentStore) -> None:
    first = store.moments.of_turn("turn-m1")
    second = store.moments.of_turn("turn-m2")
    assert first is not None
    assert second is not None
    assert store.moments.at(first.seq - 1) is None
    assert store.moments.at(second.seq - 1) == first
    assert store.moments.at(10_000) == store.moments.of_turn("turn-m3")


def test_encoded_contents_are_shared_byte_for_byte(
    store: AgentStore, fork_directory: Path, forks: list[AgentStore]
) -> None:
    with store.batch() as batch:
        batch.event("stream_update", encode({"text": "ü"}), instance_id=INSTANCE)
    fork = forked(store, Moment(store.head_seq, store.state_version, 0), fork_directory, forks)
    assert fork.events(fork.head_seq - 1, 1) == store.events(store.head_seq - 1, 1)


def test_a_damaged_sealed_file_is_found(store: AgentStore, directory: Path, clock: ManualClock) -> None:
    store.seal()
    store.close()
    sealed = directory / "messages" / "segment-1.db"
    good = sealed.read_bytes()
    sealed.write_bytes(b"\xff" * len(good))
    with pytest.raises((StoreDamagedError, StoreError)):
        AgentStore.open(directory, AGENT, clock).close()
    sealed.write_bytes(good)
