"""Containers that were taken out of a state, or replaced: what is done to them later is nobody's change."""

import json
from typing import Any

import pytest

from podium.agent import DeltaState
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored


class Whole(DeltaState):
    table: dict[str, Any] = {}
    items: list[Any] = []


def recording(**data: Any) -> tuple[Whole, Journal]:
    state, journal = restored(Whole, {"table": {}, "items": [], **data}), Journal()
    begin_recording(state, journal)
    return state, journal


def ops(journal: Journal) -> list[tuple[str, str]]:
    return [(op["op"], op["path"]) for piece in journal.take() for op in json.loads(piece)]


@pytest.mark.parametrize("value", [5, "text", None, True, 1.5])
def test_a_container_that_a_scalar_replaced_records_nothing_more(value: object) -> None:
    state, journal = recording(table={"k": [1]}, items=[[1]])
    in_table, in_list = state.table["k"], state.items[0]
    state.table["k"] = value
    state.items[0] = value
    assert ops(journal) == [("replace", "/table/k"), ("replace", "/items/0")]
    in_table.append(2)
    in_list.append(2)
    assert ops(journal) == []
    state.items.append(in_list)
    assert ops(journal) == [("add", "/items/-")], "what is free can be put in again"


@pytest.mark.parametrize("leaves", ["pop", "popitem", "clear", "replaced"])
def test_what_left_with_its_container_and_was_put_back_alone_goes_on_being_recorded(leaves: str) -> None:
    state, journal = recording(table={"outer": {"inner": [1]}})
    outer = state.table.pop("outer")
    inner = outer["inner"]
    state.items.append(inner)
    journal.take()
    if leaves == "pop":
        outer.pop("inner")
    elif leaves == "popitem":
        outer.popitem()
    elif leaves == "clear":
        outer.clear()
    else:
        outer["inner"] = 5
    inner.append(2)
    assert ops(journal) == [("add", "/items/0/-")]
    assert state.items == [[1, 2]]
