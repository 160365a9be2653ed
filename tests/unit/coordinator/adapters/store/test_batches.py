import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import Batch, InboxRow, RequestRow, StoreConflictError
from tests.unit.coordinator.adapters.store.writing import (
    INSTANCE,
    ORIGIN,
    Opened,
    accept,
    ask,
    change_state,
    finish,
    give_state,
    resolve,
    set_count,
    start,
    whole_turn,
)


def test_events_are_numbered_from_one_without_gaps_over_batches_and_openings(opened: Opened) -> None:
    store = opened()
    assert store.head_seq == 0
    for expected in (1, 2):
        with store.batch() as batch:
            assert batch.event("stream_update", b'{"text":"a"}', instance_id=INSTANCE).seq == expected
    store.close()
    store = opened()
    with store.batch() as batch:
        rows = [batch.event("stream_update", b"", instance_id=INSTANCE, turn_id="t") for _ in range(3)]
    assert [row.seq for row in rows] == [3, 4, 5]
    assert batch.events == rows
    assert store.head_seq == 5
    assert [row.seq for row in store.events(0, 10)] == [1, 2, 3, 4, 5]
    assert store.events(0, 10)[2:] == rows


def test_events_carry_the_time_of_the_clock(opened: Opened, clock: ManualClock) -> None:
    store = opened()
    clock.advance(1.5)
    with store.batch() as batch:
        row = batch.event("stream_update", b"", instance_id=INSTANCE)
    assert row.ts == clock.now_ms()


def test_an_exception_in_a_batch_leaves_nothing_of_it(opened: Opened) -> None:
    store = opened()
    give_state(store, {"count": 0})

    def fail_after_all(batch: Batch) -> None:
        batch.event("message.user", b'{"message_id":"m"}', instance_id=INSTANCE)
        batch.accept(InboxRow("m", "turn-m", b"{}", ORIGIN, 1))
        batch.delta(2, set_count(1), "turn-m")
        batch.log("info", "gone", "m", "agent", 1)
        raise KeyError

    with pytest.raises(KeyError), store.batch() as batch:
        fail_after_all(batch)
    assert (store.head_seq, store.state_version) == (0, 1)
    assert store.events(0, 10) == []
    assert store.inbox("m") is None
    assert store.last_log_lines(10) == []
    with store.batch() as batch:
        assert batch.event("stream_update", b"", instance_id=INSTANCE).seq == 1


def test_a_conflict_at_the_commit_leaves_nothing_of_the_batch(opened: Opened) -> None:
    store = opened()
    give_state(store, {"count": 0})

    def start_unknown() -> None:
        with store.batch() as batch:
            batch.event("stream_start", b"{}", instance_id=INSTANCE)
            batch.delta(2, set_count(1), "")
            batch.start_turn("m-unknown", 1)

    with pytest.raises(StoreConflictError, match="m-unknown can't start"):
        start_unknown()
    assert (store.head_seq, store.state_version) == (0, 1)
    assert store.state().data == b'{"count":0}'
    change_state(store, set_count(5))
    assert store.state().data == b'{"count":5}'


def test_a_batch_inside_a_batch_is_an_error(opened: Opened) -> None:
    store = opened()
    with store.batch() as batch:
        batch.event("stream_update", b"", instance_id=INSTANCE)
        with pytest.raises(StoreConflictError, match="open already"):
            store.batch()
    assert store.head_seq == 1


def test_an_empty_batch_writes_nothing(opened: Opened) -> None:
    store = opened()
    with store.batch():
        pass
    assert (store.head_seq, store.state_version, store.state_schema) == (0, 0, None)


def test_state_versions_must_follow_each_other(opened: Opened) -> None:
    store = opened()
    give_state(store, {"count": 0})
    for version in (0, 1, 3):
        with pytest.raises(StoreConflictError, match="does not follow 1"), store.batch() as batch:
            batch.delta(version, b"[]", "")
    with store.batch() as batch:
        batch.delta(2, set_count(1), "")
        batch.delta(3, set_count(2), "")
    assert store.state_version == 3


def test_a_message_goes_from_queued_over_running_to_done(opened: Opened, clock: ManualClock) -> None:
    store = opened()
    accepted_at = clock.now_ms()
    row = accept(store, "m", command_id="c")
    found = store.inbox("m")
    assert found is not None
    assert (found.state, found.attempt, found.accepted_at, found.started_at) == ("queued", 0, accepted_at, None)
    assert (found.command_id, found.content, found.origin) == ("c", row.content, ORIGIN)
    clock.advance(1)
    start(store, "m")
    clock.advance(1)
    start(store, "m", attempt=2)
    found = store.turn("turn-m")
    assert found is not None
    assert (found.state, found.attempt, found.started_at) == ("running", 2, accepted_at + 2000)
    finish(store, "m")
    found = store.inbox("m")
    assert found is not None
    assert (found.state, found.stop_reason, found.finished_at) == ("done", "end_turn", accepted_at + 2000)
    assert store.inbox_open() == []


def test_a_turn_that_is_over_can_neither_start_nor_finish_again(opened: Opened) -> None:
    store = opened()
    whole_turn(store, "m")
    with pytest.raises(StoreConflictError, match="m can't start"), store.batch() as batch:
        batch.start_turn("m", 2)
    with pytest.raises(StoreConflictError, match="m can't finish"), store.batch() as batch:
        batch.finish_turn("m", "cancelled", "cancelled")


def test_an_attempt_must_be_higher_than_the_last(opened: Opened) -> None:
    store = opened()
    accept(store, "m")
    start(store, "m", attempt=2)
    with pytest.raises(StoreConflictError, match="attempt 2"), store.batch() as batch:
        batch.start_turn("m", 2)


def test_a_message_is_accepted_started_and_finished_in_one_batch(opened: Opened) -> None:
    store = opened()
    with store.batch() as batch:
        event = batch.event("message.user", b'{"message_id":"m"}', instance_id=INSTANCE, turn_id="turn-m")
        batch.accept(InboxRow("m", "turn-m", b"{}", ORIGIN, event.seq))
        batch.start_turn("m", 1)
        batch.finish_turn("m", "failed", "error")
    found = store.inbox("m")
    assert found is not None
    assert found.state == "failed"


def test_the_same_message_is_not_accepted_twice(opened: Opened) -> None:
    store = opened()
    accept(store, "m")
    with pytest.raises(StoreConflictError):
        accept(store, "m")
    assert store.head_seq == 1


def test_a_command_is_remembered_for_a_day(opened: Opened, clock: ManualClock) -> None:
    store = opened()
    with store.batch() as batch:
        batch.remember_command("c", b'{"id":"c"}')
    assert store.command("c") == b'{"id":"c"}'
    assert store.command("d") is None
    clock.advance(24 * 3600 - 1)
    assert store.command("c") == b'{"id":"c"}'
    clock.advance(2)
    assert store.command("c") is None
    with store.batch() as batch:
        batch.remember_command("c", b'{"id":"c","seq":2}')
    assert store.command("c") == b'{"id":"c","seq":2}'


def test_a_request_is_resolved_once(opened: Opened, clock: ManualClock) -> None:
    store = opened()
    row = ask(store, "req-1", "turn-1", expires_at=99)
    assert store.open_requests() == [row]
    clock.advance(1)
    seq = resolve(store, "req-1", "yes")
    found = store.request("req-1")
    assert found is not None
    assert (found.status, found.outcome, found.option_id, found.by) == ("resolved", "selected", "yes", "client")
    assert (found.resolved_seq, found.resolved_at, found.expires_at) == (seq, clock.now_ms(), 99)
    with pytest.raises(StoreConflictError, match="req-1 can't be resolved"):
        resolve(store, "req-1", "no")
    assert store.open_requests() == []


def test_answers_of_a_question_come_back_as_they_were_given(opened: Opened) -> None:
    store = opened()
    with store.batch() as batch:
        event = batch.event("tool.question_requested", b"{}", instance_id=INSTANCE)
        batch.open_request(RequestRow("q", "question", "turn-1", event.seq, b"{}", event.ts))
        told = batch.event("tool.approval_resolved", b'{"request_id":"q"}', instance_id=INSTANCE)
        batch.resolve_request("q", "answered", None, {"name": ["Ada"]}, "client", told.seq)
    found = store.request("q")
    assert found is not None
    assert found.answers == {"name": ["Ada"]}


def test_a_checkpoint_names_a_moment(opened: Opened) -> None:
    store = opened()
    give_state(store, {"count": 0})
    whole_turn(store, "a", ops=set_count(1))
    whole_turn(store, "b")
    first, second = store.checkpoints()
    assert (first.turn_id, first.seq, first.state_version, first.iteration) == ("turn-a", 4, 2, 0)
    assert (second.turn_id, second.seq, second.state_version) == ("turn-b", 8, 2)
    assert store.checkpoint("turn-b") == second
    assert store.checkpoint("turn-c") is None
    assert store.checkpoints(after=first.position) == [second]
    assert store.checkpoints(1) == [first]
