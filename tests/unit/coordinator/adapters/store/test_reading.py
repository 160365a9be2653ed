import pytest

from podium.coordinator.adapters.store import InboxRow
from podium.wire.rest import ConversationMessage, TurnUsage
from tests.unit.coordinator.adapters.store.writing import (
    INSTANCE,
    ORIGIN,
    Opened,
    accept,
    ask,
    encode,
    finish,
    resolve,
    start,
    whole_turn,
)


def test_events_are_read_in_pages_and_up_to_a_number(opened: Opened) -> None:
    store = opened()
    with store.batch() as batch:
        for number in range(10):
            batch.event("stream_update", encode({"text": str(number)}), instance_id=INSTANCE)
    assert [row.seq for row in store.events(4, 3)] == [5, 6, 7]
    assert [row.seq for row in store.events(4, 100, upto=6)] == [5, 6]
    assert store.events(10, 5) == []
    assert store.events(0, 1)[0].content == b'{"text":"0"}'


def test_the_events_of_a_turn_are_found_among_others(opened: Opened) -> None:
    store = opened()
    accept(store, "a")
    accept(store, "b")
    start(store, "a")
    finish(store, "a")
    start(store, "b")
    assert [row.seq for row in store.turn_events("turn-b")] == [2, 6]
    assert [row.seq for row in store.turn_events("turn-a")] == [1, 3, 4, 5]
    assert store.turn_events("") == []


def test_usage_of_a_turn_is_the_sum_of_its_updates(opened: Opened) -> None:
    store = opened()
    content = {"model": "m", "provider": "p", "input_tokens": 3, "output_tokens": 2, "cached_tokens": 1}
    with store.batch() as batch:
        for cost in (10, 20):
            usage = encode({**content, "cost_micro_dollars": cost})
            batch.event("usage.update", usage, instance_id=INSTANCE, turn_id="turn-a")
        batch.event("usage.update", encode(content), instance_id=INSTANCE, turn_id="turn-b")
    assert store.usage_of("turn-a") == TurnUsage(6, 4, 2, 30)
    assert store.usage_of("turn-c") == TurnUsage()


def test_the_conversation_is_what_was_said_on_both_sides(opened: Opened) -> None:
    store = opened()
    with store.batch() as batch:
        content = encode({"message_id": "m", "text": "hi", "colour": "red"})
        asked = batch.event("message.user", content, instance_id=INSTANCE, turn_id="turn-m")
        batch.accept(InboxRow("m", "turn-m", b"{}", ORIGIN, asked.seq))
        start_of = encode({"message_id": "m", "attempt": 1})
        batch.event("stream_start", start_of, instance_id=INSTANCE, turn_id="turn-m")
        batch.event("stream_update", b'{"text":"he"}', instance_id=INSTANCE, turn_id="turn-m")
        end = encode({"text": "hello", "stop_reason": "end_turn"})
        said = batch.event("stream_end", end, instance_id=INSTANCE, turn_id="turn-m")
    assert store.conversation(10) == [
        ConversationMessage("m", "user", "hi", "turn-m", asked.seq, asked.ts, content={"colour": "red"}),
        ConversationMessage("m", "agent", "hello", "turn-m", said.seq, said.ts, stop_reason="end_turn"),
    ]


def test_the_conversation_is_read_forwards_and_backwards(opened: Opened) -> None:
    store = opened()
    for number in range(4):
        whole_turn(store, f"m{number}")
    everything = store.conversation(100)
    assert [(entry.message_id, entry.role) for entry in everything][:3] == [
        ("m0", "user"),
        ("m0", "agent"),
        ("m1", "user"),
    ]
    first = store.conversation(3)
    assert first == everything[:3]
    assert store.conversation(3, after=first[-1].seq) == everything[3:6]
    assert store.conversation(2, before=everything[-1].seq) == everything[-3:-1]


def test_open_messages_come_in_the_order_they_were_accepted(opened: Opened) -> None:
    store = opened()
    for name in ("c", "a", "b"):
        accept(store, name)
    start(store, "a")
    assert [(row.message_id, row.state) for row in store.inbox_open()] == [
        ("c", "queued"),
        ("a", "running"),
        ("b", "queued"),
    ]


def test_requests_are_listed_by_status_in_pages(opened: Opened) -> None:
    store = opened()
    for number in range(4):
        ask(store, f"req-{number}", "turn-1")
    resolve(store, "req-1", "yes")
    assert [row.request_id for row in store.requests()] == ["req-0", "req-1", "req-2", "req-3"]
    assert [row.request_id for row in store.requests("open")] == ["req-0", "req-2", "req-3"]
    assert [row.request_id for row in store.requests("resolved")] == ["req-1"]
    first = store.requests("open", 1)
    assert [row.request_id for row in store.requests("open", 1, after=first[0].seq)] == ["req-2"]
    assert store.request("req-9") is None


@pytest.mark.parametrize("index", ["event_of_turn", "event_of_conversation", "inbox_open", "request_open"])
def test_reads_that_could_grow_with_the_journal_use_their_index(opened: Opened, index: str) -> None:
    store = opened()
    asked = {
        "event_of_turn": "SELECT seq FROM event WHERE turn_id = 't' AND turn_id <> '' ORDER BY seq",
        "event_of_conversation": "SELECT seq FROM event WHERE type IN ('message.user', 'stream_end') AND seq > 1",
        "inbox_open": "SELECT * FROM inbox WHERE state IN ('queued', 'running') ORDER BY accepted_seq",
        "request_open": "SELECT * FROM request WHERE status = 'open' ORDER BY seq",
    }[index]
    plan = store._messages.rows(f"EXPLAIN QUERY PLAN {asked}")
    assert index in plan[0][-1]
