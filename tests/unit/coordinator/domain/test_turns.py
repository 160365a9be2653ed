"""The queue of turns as a conversation: what happened (>>) and what the queue says (<<)."""

import pytest

from podium.coordinator.domain.turns import (
    Ending,
    Entry,
    Fate,
    Placement,
    Running,
    TurnQueue,
    must_act_at,
    waiting_began,
    waiting_ended,
)
from podium.wire.commands import OnBusy
from podium.wire.errors import ErrorCode, PodiumError


def entry(name: str, on_busy: OnBusy = "queue") -> Entry:
    return Entry(f"msg-{name}", f"turn-{name}", on_busy)


def offer(queue: TurnQueue, name: str, on_busy: OnBusy = "queue") -> str:
    """What becomes of a message; queued ones are put in line."""
    try:
        placement = queue.place(on_busy)
    except PodiumError as error:
        return error.code.value
    if placement is not Placement.STEERING:
        queue.add(entry(name, on_busy), placement)
    return placement.value


def said(queue: TurnQueue, line: str) -> str:
    """Plays one line of a conversation."""
    match line.split():
        case ["offer", name]:
            return offer(queue, name)
        case ["offer", name, "queue" | "steer" | "interrupt" | "reject" as on_busy]:
            return offer(queue, name, on_busy)
        case ["next"]:
            queue.start_next()
            running = queue.deliver(0.0, 0)
            return f"{running.entry.turn_id} attempt {running.attempt}" if running else "nothing"
        case ["end"]:
            queue.end()
            return "ended"
        case ["cancel"]:
            return "asked" if queue.ask_end(Ending.CANCELLED, 0.0) else "no"
        case ["time", "out"]:
            return "asked" if queue.ask_end(Ending.TIMED_OUT, 0.0) else "no"
        case ["lost"]:
            return queue.process_lost().value
        case ["remove", turn]:
            removed = queue.remove(turn)
            return removed.message_id if removed else "nothing"
    raise AssertionError(line)


CONVERSATIONS = {
    "one at a time, in order": """
        >> next
        << nothing
        >> offer a
        << queued
        >> offer b
        << queued
        >> next
        << turn-a attempt 1
        >> next
        << nothing
        >> end
        << ended
        >> next
        << turn-b attempt 1
    """,
    "reject only while there is work": """
        >> offer a reject
        << queued
        >> offer b reject
        << busy
        >> next
        << turn-a attempt 1
        >> offer c reject
        << busy
        >> end
        << ended
        >> offer d reject
        << queued
    """,
    "steer joins the running turn, else waits": """
        >> offer a steer
        << queued
        >> next
        << turn-a attempt 1
        >> offer b steer
        << steering
        >> cancel
        << asked
        >> offer c steer
        << queued
    """,
    "interrupts go first, in their own order": """
        >> offer a
        << queued
        >> next
        << turn-a attempt 1
        >> offer b
        << queued
        >> offer c interrupt
        << interrupting
        >> offer d interrupt
        << interrupting
        >> end
        << ended
        >> next
        << turn-c attempt 1
        >> end
        << ended
        >> next
        << turn-d attempt 1
        >> end
        << ended
        >> next
        << turn-b attempt 1
    """,
    "a lost process means another attempt": """
        >> lost
        << none
        >> offer a
        << queued
        >> next
        << turn-a attempt 1
        >> lost
        << rerun
        >> next
        << turn-a attempt 2
        >> lost
        << rerun
        >> next
        << turn-a attempt 3
    """,
    "a turn that was to end is not run again": """
        >> cancel
        << no
        >> offer a
        << queued
        >> next
        << turn-a attempt 1
        >> cancel
        << asked
        >> cancel
        << no
        >> time out
        << no
        >> lost
        << cancelled
    """,
    "the first reason to end counts": """
        >> offer a
        << queued
        >> next
        << turn-a attempt 1
        >> time out
        << asked
        >> cancel
        << no
        >> lost
        << timed_out
    """,
    "a waiting turn can be taken out": """
        >> offer a
        << queued
        >> offer b
        << queued
        >> remove turn-a
        << msg-a
        >> remove turn-a
        << nothing
        >> next
        << turn-b attempt 1
        >> remove turn-b
        << nothing
    """,
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_conversation_goes_as_written(name: str) -> None:
    queue = TurnQueue()
    lines = [line.strip() for line in CONVERSATIONS[name].strip().splitlines()]
    told = []
    for line in lines:
        if line.startswith(">> "):
            told += [line, f"<< {said(queue, line[3:])}"]
    assert told == lines


@pytest.mark.proves("QUEUE-LIMIT")
def test_the_queue_is_bounded() -> None:
    queue = TurnQueue(limit=2)
    assert [offer(queue, name) for name in "abc"] == ["queued", "queued", ErrorCode.QUOTA_EXCEEDED.value]
    queue.start_next()
    assert offer(queue, "d") == "queued"


def test_what_the_journal_holds_comes_back_in_the_same_order() -> None:
    queue = TurnQueue()
    queue.restore(entry("a"), 2, [entry("b"), entry("c", "interrupt"), entry("d"), entry("e", "interrupt")])
    running = queue.deliver(0.0, 0)
    assert running is not None
    assert (running.entry.turn_id, running.attempt) == ("turn-a", 3)
    order = []
    while running is not None:
        order.append(running.entry.turn_id)
        queue.end()
        running = queue.start_next()
    assert order == ["turn-a", "turn-c", "turn-e", "turn-b", "turn-d"]


def test_time_spent_waiting_for_a_person_is_not_the_turns() -> None:
    running = Running(entry("a"), 1, delivered=True, started_at=100.0)
    assert must_act_at(running, 60.0) == 160.0
    waiting_began(running, 120.0)
    waiting_began(running, 130.0)
    assert must_act_at(running, 60.0) is None
    waiting_ended(running, 150.0)
    waiting_ended(running, 155.0)
    assert must_act_at(running, 60.0) == 190.0


def test_a_turn_that_was_told_to_end_has_a_grace() -> None:
    running = Running(entry("a"), 1, delivered=True, started_at=100.0)
    running.ending, running.ending_since = Ending.CANCELLED, 120.0
    assert must_act_at(running, 60.0) == 130.0


def test_nothing_is_due_for_a_turn_that_waits_for_a_process() -> None:
    assert must_act_at(Running(entry("a"), 1), 60.0) is None


def test_every_fate_is_told() -> None:
    assert {Fate(ending.value) for ending in Ending} | {Fate.NONE, Fate.RERUN} == set(Fate)
