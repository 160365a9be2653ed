"""Each mutation becomes the smallest natural operation."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from podium.agent.models.delta_state import DeltaState as LongName
from podium.agent.state import DeltaState
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored


class Profile(DeltaState):
    name: str = "nobody"
    langs: set[str] = set()


class Notes(DeltaState):
    count: int = 0
    title: str = "t"
    history: list[Any] = []
    table: dict[str, Any] = {}
    tags: set[str] = set()
    profile: Profile = Profile()


BEFORE = {
    "count": 1,
    "title": "t",
    "history": ["a", "b", "c", "d"],
    "table": {"x": 1, "rows": [{"n": 1}, {"n": 2}]},
    "tags": ["b", "d"],
    "profile": {"name": "nobody", "langs": []},
}


def recorded(before: dict[str, Any] | None = None) -> tuple[Notes, Journal]:
    state, journal = restored(Notes, copy.deepcopy(BEFORE if before is None else before)), Journal()
    begin_recording(state, journal)
    return state, journal


def ops_of(journal: Journal) -> list[str]:
    written = []
    for ops in journal.take():
        for op in json.loads(ops):
            value = " " + json.dumps(op["value"], ensure_ascii=False) if "value" in op else ""
            written.append(f"{op['op']} {op['path']}{value}")
    return written


def count_up(s: Notes) -> None:
    s.count += 1


def delete_title(s: Notes) -> None:
    del s.title


def delete_slice(s: Notes) -> None:
    del s.history[1:3]


def add_in_place(s: Notes) -> None:
    s.history += ["e"]


def nested_add(s: Notes) -> None:
    s.table["rows"][1]["n"] += 5


def replace_first(s: Notes) -> None:
    s.history[0:1] = ["z"]


MUTATIONS: list[tuple[Callable[[Notes], Any], list[str]]] = [
    (count_up, ["replace /count 2"]),
    (delete_title, ["remove /title"]),
    (lambda s: s.history.append("e"), ['add /history/- "e"']),
    (lambda s: s.history.insert(0, "z"), ['add /history/0 "z"']),
    (lambda s: s.history.insert(-1, "z"), ['add /history/3 "z"']),
    (lambda s: s.history.insert(99, "z"), ['add /history/- "z"']),
    (lambda s: s.history.pop(), ["remove /history/3"]),
    (lambda s: s.history.pop(0), ["remove /history/0"]),
    (lambda s: s.history.pop(-2), ["remove /history/2"]),
    (lambda s: s.history.remove("b"), ["remove /history/1"]),
    (lambda s: s.history.__setitem__(-1, "z"), ['replace /history/3 "z"']),
    (delete_slice, ['replace /history ["a", "d"]']),
    (add_in_place, ['add /history/- "e"']),
    (replace_first, ['replace /history/0 "z"']),
    (lambda s: s.history.sort(reverse=True), ['replace /history ["d", "c", "b", "a"]']),
    (lambda s: s.history.sort(), []),
    (lambda s: s.history.clear(), ["replace /history []"]),
    (lambda s: s.table.__setitem__("a/b~c", 1), ["add /table/a~1b~0c 1"]),
    (lambda s: s.table.update(x=2), ["replace /table/x 2"]),
    (lambda s: s.table.setdefault("x", 5), []),
    (lambda s: s.table.setdefault("y", []).append(1), ["add /table/y []", "add /table/y/- 1"]),
    (lambda s: s.table.pop("x"), ["remove /table/x"]),
    (lambda s: s.table.clear(), ["replace /table {}"]),
    (nested_add, ["replace /table/rows/1/n 7"]),
    (lambda s: s.tags.add("c"), ['add /tags/1 "c"']),
    (lambda s: s.tags.add("z"), ['add /tags/- "z"']),
    (lambda s: s.tags.add("b"), []),
    (lambda s: s.tags.discard("d"), ["remove /tags/1"]),
    (lambda s: s.tags.pop(), ["remove /tags/0"]),
    (lambda s: setattr(s.profile, "name", "Ada"), ['replace /profile/name "Ada"']),
    (lambda s: s.profile.langs.add("py"), ['add /profile/langs/- "py"']),
    (lambda s: setattr(s, "count", 1), []),
    (lambda s: setattr(s, "count", True), ["replace /count true"]),
    (lambda s: setattr(s, "count", 1.0), ["replace /count 1.0"]),
]


@pytest.mark.proves("STATE-OPS-NATURAL")
@pytest.mark.parametrize(("mutate", "expected"), MUTATIONS)
def test_a_mutation_becomes_its_natural_operation(mutate: Callable[[Notes], Any], expected: list[str]) -> None:
    state, journal = recorded()
    mutate(state)
    assert ops_of(journal) == expected


def test_repeated_assignments_of_one_place_become_one_operation() -> None:
    state, journal = recorded()
    for number in range(1000):
        state.count = number
    assert ops_of(journal) == ["replace /count 999"]


@pytest.mark.proves("STATE-LEAF-WRITES-LEAF")
def test_one_changed_leaf_of_a_mebibyte_writes_one_leaf() -> None:
    rows = [{"id": n, "text": "x" * 1000, "done": False} for n in range(1050)]
    state, journal = recorded({"table": {"rows": rows}})
    journal.take()
    state.table["rows"][700]["done"] = True
    assert ops_of(journal) == ["replace /table/rows/700/done true"]


def test_elements_are_found_after_insertions_and_removals_before_them() -> None:
    state, journal = recorded()
    second = state.table["rows"][1]
    state.table["rows"].insert(0, {"n": 0})
    second["n"] = "moved"
    del state.table["rows"][0:2]
    second["n"] = "again"
    assert ops_of(journal)[-1] == 'replace /table/rows/0/n "again"'


def test_shuffled_and_reversed_nodes_keep_their_identity() -> None:
    state, journal = recorded()
    first = state.table["rows"][0]
    state.table["rows"].reverse()
    first["n"] = "last"
    assert state.table["rows"][1] is first
    assert ops_of(journal)[-1] == 'replace /table/rows/1/n "last"'


def test_what_was_taken_out_records_nothing_and_may_come_back() -> None:
    state, journal = recorded()
    row = state.table["rows"].pop(0)
    ops_of(journal)
    row["n"] = "outside"
    assert ops_of(journal) == []
    state.table["kept"] = row
    assert state.table["kept"] is row
    row["n"] = "inside"
    assert ops_of(journal) == ['add /table/kept {"n": "outside"}', 'replace /table/kept/n "inside"']


def test_the_operation_holds_the_value_of_its_moment() -> None:
    state, journal = recorded()
    state.history.append([])
    state.history[-1].append(1)
    assert ops_of(journal) == ["add /history/- []", "add /history/4/- 1"]


def test_random_shuffle_of_scalars_is_tracked() -> None:
    state, journal = recorded({"history": list(range(10))})
    ops_of(journal)
    random.Random(1).shuffle(state.history)
    replaced = {int(op.split()[1].rsplit("/", 1)[1]): int(op.split()[2]) for op in ops_of(journal)}
    assert [replaced.get(n, n) for n in range(10)] == state.history


def test_both_import_names_are_one_class() -> None:
    assert LongName is DeltaState
