"""What the life of a session takes from the events of its agent."""

from typing import Any

import pytest

from diminuendo.domain import life
from diminuendo.domain.following import follow, shown
from diminuendo.domain.mapper import map_podium_event
from podium.client import PodiumEvent
from podium.wire.status import OVER, InstanceStatus


def followed(name: str, content: dict[str, Any] | None = None) -> list[life.Event]:
    event = PodiumEvent(name, content, turn_id="t1")
    return follow(event, map_podium_event("s", event.turn_id, event), "i1", 9)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("stream_start", {"message_id": "m", "attempt": 1}, life.TurnBegan("t1")),
        ("created", None, life.TurnBegan("t1")),
        ("stream_end", {"text": "x", "stop_reason": "end_turn"}, life.TurnOver(9)),
        ("error", {"code": "c", "message": "m"}, life.TurnOver(9)),
        ("agent_event", {"event_type": "complete"}, life.TurnOver(9)),
        ("tool.question_requested", {"request_id": "r", "questions": []}, life.Asked("r")),
        ("tool.permission_requested", {"request_id": "r", "options": []}, life.Asked("r")),
        ("tool.approval_resolved", {"request_id": "r", "outcome": "selected"}, life.Resolved("r")),
        ("state.status", {"status": "terminated", "previous": "stopping"},
         life.Lost("i1", "the agent's instance is terminated")),
        ("state.status", {"status": "failed", "previous": "ready"}, life.Lost("i1", "the agent's instance is failed")),
        ("state.status", {"status": "asleep", "previous": "ready"}, life.StillThere("i1")),
        ("state.status", {"status": "initializing", "previous": "running"}, life.StillThere("i1")),
    ],
)  # fmt: skip
def test_each_event_that_matters_is_told_to_the_machine(name: str, content: Any, told: life.Event) -> None:
    assert followed(name, content) == [told]


@pytest.mark.parametrize(
    "name", ["stream_update", "terminated", "terminating", "message.user", "checkpoint", "tool.call"]
)
def test_the_end_of_a_process_and_what_is_only_shown_change_nothing(name: str) -> None:
    assert followed(name, {"text": "x"}) == []


@pytest.mark.parametrize("status", [None, 7, [], "", "dancing"])
def test_a_status_that_is_none_changes_nothing(status: Any) -> None:
    assert followed("state.status", {"status": status}) == []
    assert followed("state.status") == []


def test_the_end_of_an_earlier_instance_is_not_the_end_of_the_session() -> None:
    status = PodiumEvent("state.status", {"status": "terminated"}, instance_id="i0")
    assert follow(status, [], "i1", 9) == [life.Lost("i0", "the agent's instance is terminated")]
    for name, count in (("terminated", 0), ("sandbox.removed", 0), ("stream_update", 1)):
        earlier = PodiumEvent(name, {"text": "x"}, instance_id="i0")
        present = PodiumEvent(name, {"text": "x"}, instance_id="i1")
        assert len(shown(earlier, map_podium_event("s", None, earlier), "i1")) == count
        assert len(shown(present, map_podium_event("s", None, present), "i1")) == 1


def test_an_agent_can_not_declare_its_instance_over() -> None:
    for status in OVER:
        assert followed("stream_update", {"text": "x", "event_type": "state.status", "status": status}) == []
    assert {InstanceStatus.TERMINATED, InstanceStatus.FAILED} == OVER
