"""Each kind of damage, done behind the store's back, is found and told in words."""

from pathlib import Path

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.adapters.store import AgentStore, StoreOptions, StoreUnavailableError, validate_directory
from podium.coordinator.adapters.store.validation import SHOWN_AT_MOST
from tests.unit.coordinator.adapters.store.writing import (
    AGENT,
    FILES,
    INSTANCE,
    accept,
    ask,
    change_state,
    finish,
    give_state,
    resolve,
    set_count,
    start,
    tamper,
    whole_turn,
)

OPTIONS = StoreOptions(snapshot_every_deltas=2)


@pytest.fixture
def lived(directory: Path, clock: ManualClock) -> Path:
    """An agent with a history: two turns done, one running, one queued, one request answered, one open; events 1–14,
    state versions 1–7 with snapshots of 1, 6 (whole, schema 2) and derived ones."""
    store = AgentStore.open(directory, AGENT, clock, OPTIONS)
    give_state(store, {"count": 0})
    whole_turn(store, "a", ops=set_count(1))
    whole_turn(store, "b", ops=set_count(2))
    for number in (3, 4):
        change_state(store, set_count(number))
        store.maintenance()
    accept(store, "c")
    start(store, "c")
    accept(store, "d")
    ask(store, "req-1", "turn-c")
    resolve(store, "req-1", "yes")
    ask(store, "req-2", "turn-c")
    give_state(store, {"count": 9}, schema=2)
    change_state(store, set_count(10))
    with store.batch() as batch:
        batch.remember_command("cmd", b"{}")
        batch.log("info", "line", "m", "agent", 1, fields={"a": 1})
    assert store.validate() == []
    store.close()
    return directory


def findings(directory: Path, clock: ManualClock) -> list[str]:
    store = AgentStore.open(directory, AGENT, clock, OPTIONS)
    try:
        return store.validate()
    finally:
        store.close()


DAMAGE = [
    ("messages", "DELETE FROM event WHERE seq = 6", "events 5 and 7 follow each other"),
    ("messages", "DELETE FROM event WHERE seq = 1", "the oldest event is 2, but the journal should begin at 1"),
    (
        "messages",
        "UPDATE event SET content = '{' WHERE seq = 5",
        "event 5 (message.user) has a content that is no JSON",
    ),
    ("messages", "UPDATE event SET type = 'error' WHERE seq = 5", "message b was accepted by event 5, which is no"),
    (
        "messages",
        """UPDATE event SET content = '{"message_id":"z"}' WHERE seq = 5""",
        "message b was accepted by event 5, which is of another message",
    ),
    (
        "messages",
        "UPDATE inbox SET state = 'running', attempt = 1, started_at = 1 WHERE message_id = 'd'",
        "2 messages run at once",
    ),
    ("messages", "UPDATE inbox SET attempt = 0 WHERE message_id = 'c'", "message c runs but was never started"),
    ("messages", "UPDATE inbox SET finished_at = 1 WHERE message_id = 'c'", "message c is running but has an end"),
    ("messages", "UPDATE inbox SET attempt = 3 WHERE message_id = 'd'", "message d is queued and was started 3 times"),
    ("messages", "UPDATE inbox SET stop_reason = NULL WHERE message_id = 'a'", "message a is done but has no end"),
    ("messages", "UPDATE inbox SET attempt = 0 WHERE message_id = 'a'", "message a is done but was never started"),
    ("messages", "UPDATE inbox SET content = 'x' WHERE message_id = 'a'", "message a has a content or an origin"),
    ("messages", "UPDATE inbox SET state = 'lost' WHERE message_id = 'a'", "CHECK constraint failed in inbox"),
    ("messages", "UPDATE command SET answer = 'x'", "command cmd has an answer that is no JSON"),
    ("messages", "UPDATE request SET seq = 2 WHERE request_id = 'req-1'", "request req-1 was asked by event 2, which"),
    (
        "messages",
        "UPDATE request SET resolved_seq = 2 WHERE request_id = 'req-1'",
        "request req-1 was resolved by event 2, which does not tell so",
    ),
    (
        "messages",
        "UPDATE request SET resolved_seq = NULL WHERE request_id = 'req-1'",
        "request req-1 was resolved by event None, which does not tell so",
    ),
    (
        "messages",
        "UPDATE request SET outcome = NULL WHERE request_id = 'req-1'",
        "req-1 is resolved without an outcome",
    ),
    (
        "messages",
        "UPDATE request SET outcome = 'selected' WHERE request_id = 'req-2'",
        "request req-2 is open but has an outcome",
    ),
    ("messages", "UPDATE request SET content = 'x' WHERE request_id = 'req-2'", "request req-2 has JSON that is none"),
    (
        "messages",
        "UPDATE checkpoint SET seq = 99 WHERE turn_id = 'turn-b'",
        "turn-b names event 99, which does not exist",
    ),
    (
        "messages",
        "UPDATE checkpoint SET state_version = 99 WHERE turn_id = 'turn-b'",
        "the checkpoint of turn-b names state version 99, the newest is 7",
    ),
    (
        "messages",
        "UPDATE checkpoint SET turn_id = 'turn-c' WHERE turn_id = 'turn-b'",
        "there is a checkpoint of turn-c, which is no turn that ended",
    ),
    (
        "messages",
        "UPDATE checkpoint SET state_version = 1 WHERE turn_id = 'turn-b'",
        "the checkpoint of turn-b lies before that of turn-a",
    ),
    (
        "messages",
        "UPDATE checkpoint SET seq = 10 WHERE turn_id = 'turn-b'",
        "the checkpoint of turn-b names event 10, which is no checkpoint or another",
    ),
    ("state", "DELETE FROM delta WHERE version = 3", "versions 2 and 4 follow each other"),
    ("state", "DELETE FROM delta WHERE version = 1", "versions 0 and 2 follow each other"),
    ("state", "DELETE FROM snapshot WHERE version = 1", "version 1 was written whole, but its snapshot is missing"),
    ("state", "UPDATE delta SET ops = 'x' WHERE version = 2", "the change to version 2 does not apply"),
    (
        "state",
        """UPDATE delta SET ops = '[{"op":"add","path":"/other","value":8}]' WHERE version = 3""",
        "is not what the changes give",
    ),
    ("state", "UPDATE snapshot SET codec = 'lz9' WHERE version = 1", "CHECK constraint failed in snapshot"),
    ("state", "UPDATE snapshot SET codec = 'json+zlib' WHERE version = 1", "a snapshot can't be unpacked"),
    ("state", "UPDATE snapshot SET data = '{' WHERE version = 1", "a snapshot is no JSON"),
    ("logs", "UPDATE log SET severity = 11", "log record 1 has the severity 11"),
    ("logs", "UPDATE log SET fields = 'x'", "log record 1 has fields that are no JSON"),
]


@pytest.mark.parametrize(("name", "sql", "told"), DAMAGE)
def test_damage_is_found(lived: Path, clock: ManualClock, name: str, sql: str, told: str) -> None:
    tamper(lived, name, sql)
    found = findings(lived, clock)
    assert [text for text in found if told in text and text.startswith(f"{name}: ")], found


def test_a_snapshot_of_a_version_that_does_not_exist_is_found(lived: Path, clock: ManualClock) -> None:
    store = AgentStore.open(lived, AGENT, clock, OPTIONS)
    tamper(lived, "state", "INSERT INTO snapshot VALUES (99, 1, 'derived', 'json', 2, '{}')")
    assert "state: there is a snapshot of version 99, which does not exist" in store.validate()
    store.close()


def test_a_state_that_is_not_the_marks_is_found(lived: Path, clock: ManualClock) -> None:
    store = AgentStore.open(lived, AGENT, clock, OPTIONS)
    tamper(lived, "messages", "UPDATE mark SET state_version = 5")
    assert "state: the newest change is 7, but version 5 is committed" in store.validate()
    store.close()


def test_a_schema_that_is_not_the_marks_is_found(lived: Path, clock: ManualClock) -> None:
    tamper(lived, "messages", "UPDATE mark SET state_schema = 7")
    assert findings(lived, clock) == ["state: the newest snapshot has schema 2, but 7 is committed"]


def test_a_missing_mark_is_found(lived: Path, clock: ManualClock) -> None:
    store = AgentStore.open(lived, AGENT, clock, OPTIONS)
    tamper(lived, "messages", "DELETE FROM mark")
    assert "messages: the mark is missing" in store.validate()
    store.close()


def test_an_index_that_tells_otherwise_than_its_table_is_found(lived: Path, clock: ManualClock) -> None:
    file = lived / FILES["messages"]
    whole = file.read_bytes()
    assert whole.count(b"turn-a") > 1
    file.write_bytes(whole.replace(b"turn-a", b"turn-Z", 1))
    assert [text for text in findings(lived, clock) if text.startswith("messages: ")]


def test_long_lists_of_the_same_damage_are_shortened(directory: Path, clock: ManualClock) -> None:
    store = AgentStore.open(directory, AGENT, clock)
    with store.batch() as batch:
        for _ in range(SHOWN_AT_MOST + 7):
            batch.event("stream_update", b"no json", instance_id=INSTANCE)
    found = store.validate()
    assert len(found) == SHOWN_AT_MOST + 1
    assert found[-1] == "messages: and 7 more of this kind"
    store.close()


def test_a_turn_that_finished_without_damage_stays_clean(lived: Path, clock: ManualClock) -> None:
    store = AgentStore.open(lived, AGENT, clock, OPTIONS)
    finish(store, "c", ops=set_count(11))
    assert store.validate() == []
    store.close()


def test_databases_are_checked_from_outside_while_somebody_writes_them(lived: Path, clock: ManualClock) -> None:
    store = AgentStore.open(lived, AGENT, clock, OPTIONS)
    change_state(store, set_count(11))
    assert validate_directory(lived) == []
    tamper(lived, "state", "INSERT INTO delta VALUES (9, 't', 1, '[]')")
    assert validate_directory(lived) == []
    tamper(lived, "state", "DELETE FROM delta WHERE version = 3")
    assert validate_directory(lived) == [
        "state: versions 2 and 4 follow each other: what is between is missing",
    ]
    store.close()


def test_a_directory_without_databases_can_not_be_checked(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        validate_directory(tmp_path)
    assert list(tmp_path.iterdir()) == []
