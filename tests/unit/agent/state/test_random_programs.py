"""Random programs of mutations: the operations lead from the state before to the state after, exactly."""

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.agent.errors import StateError
from podium.agent.state import DeltaState
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored
from podium.wire import patch

KEYS = ["a", "b", "a/b", "m~n", "", "ключ", "~1"]
SCALARS: list[Any] = [None, True, False, 0, 1, -7, 2**70, 1.5, -0.0, 1e22, "", "text", "ünï", "a/b"]
ELEMENTS: list[Any] = ["a", "b", "c", 1, 2, 3.5, None, "ü"]


class Part(DeltaState):
    name: str = ""
    tags: set[str] = set()
    notes: list[Any] = []


class Whole(DeltaState):
    number: float = 0
    anything: Any = None
    items: list[Any] = []
    table: dict[str, Any] = {}
    tags: set[Any] = set()
    groups: dict[str, set[Any]] = {}
    part: Part = Part()
    parts: list[Part] = []


def value(lots: random.Random, depth: int = 0) -> Any:
    kind = lots.randrange(6 if depth < 3 else 4)
    if kind == 4:
        return [value(lots, depth + 1) for _ in range(lots.randrange(4))]
    if kind == 5:
        return {lots.choice(KEYS): value(lots, depth + 1) for _ in range(lots.randrange(4))}
    return lots.choice(SCALARS)


def elements(lots: random.Random) -> set[Any]:
    return set(lots.sample(ELEMENTS, lots.randrange(4)))


def containers(node: Any) -> list[Any]:
    """Every container of the state, the state itself first."""
    found = [node]
    fields = node.__dict__ if isinstance(node, DeltaState) else node
    for child in fields.values() if isinstance(fields, dict) else fields:
        if isinstance(child, (list, dict, set, DeltaState)):
            found += containers(child)
    return found


def change_list(lots: random.Random, target: list[Any], make: Callable[[], Any]) -> None:
    size = len(target)
    at = lots.randrange(-size - 2, size + 3)
    cut = slice(lots.choice([None, at]), lots.choice([None, lots.randrange(-size - 1, size + 2)]))
    stepped = slice(None, None, lots.choice([2, -1, -2]))
    many = [make() for _ in range(lots.randrange(5))]
    acts: list[Callable[[], Any]] = [
        lambda: target.append(make()),
        lambda: target.insert(at, make()),
        lambda: target.extend(many),
        lambda: target.__iadd__(many),
        lambda: target.__setitem__(cut, many),
        lambda: target.__setitem__(stepped, [make() for _ in target[stepped]]),
        lambda: target.__delitem__(cut),
        lambda: target.__delitem__(stepped),
        target.reverse,
        lambda: target.sort(key=repr),
        lambda: target.sort(key=repr, reverse=True),
        target.clear,
        lambda: target.__setitem__(slice(None), [item for item in target if lots.random() < 0.7]),
    ]
    if size:
        acts += [
            lambda: target.__setitem__(at % size, make()),
            lambda: target.pop(),
            lambda: target.pop(at % size),
            lambda: target.__delitem__(at % size),
            lambda: target.remove(target[at % size]),
            lambda: target.append(target.pop(at % size)),
            lambda: target.append(copy.deepcopy(target[at % size])),
        ]
    if not any(isinstance(item, (list, dict, DeltaState)) for item in target) and size < 20:
        acts.append(lambda: target.__imul__(lots.randrange(-1, 3)))
    lots.choice(acts)()


def change_dict(lots: random.Random, target: dict[str, Any], make: Callable[[], Any]) -> None:
    key = lots.choice(KEYS)
    many = {lots.choice(KEYS): make() for _ in range(lots.randrange(5))}
    acts: list[Callable[[], Any]] = [
        lambda: target.__setitem__(key, make()),
        lambda: target.setdefault(key, make()),
        lambda: target.update(many),
        lambda: target.update(list(many.items())),
        lambda: target.__ior__(many),
        lambda: target.pop(key, None),
        target.clear,
    ]
    if target:
        present = lots.choice(list(target))
        acts += [
            target.popitem,
            lambda: target.__delitem__(present),
            lambda: target.__setitem__(key, target.pop(present)),
        ]
    lots.choice(acts)()


def change_set(lots: random.Random, target: set[Any]) -> None:
    one, many = lots.choice(ELEMENTS), elements(lots)
    acts: list[Callable[[], Any]] = [
        lambda: target.add(one),
        lambda: target.discard(one),
        lambda: target.update(many),
        lambda: target.difference_update(many),
        lambda: target.intersection_update(many),
        lambda: target.symmetric_difference_update(many),
        lambda: target.__ior__(many),
        lambda: target.__iand__(many),
        lambda: target.__isub__(many),
        lambda: target.__ixor__(many),
        target.clear,
    ]
    acts += [target.pop, lambda: target.remove(next(iter(target)))] if target else []
    lots.choice(acts)()


def change_whole(lots: random.Random, state: Whole) -> None:
    acts: list[Callable[[], Any]] = [
        lambda: setattr(state, "number", lots.choice([0, 1, 2.5, state.number + 1])),
        lambda: setattr(state, "anything", value(lots)),
        lambda: setattr(state, "items", [item for item in state.items if lots.random() < 0.7]),
        lambda: setattr(state, "items", [*state.items, value(lots)]),
        lambda: setattr(state, "items", sorted(state.items, key=repr)),
        lambda: setattr(state, "table", {**state.table, "new": value(lots)}),
        lambda: setattr(state, "tags", state.tags | elements(lots)),
        lambda: setattr(state, "groups", {key: elements(lots) for key in lots.sample(KEYS, 2)}),
        lambda: setattr(state, "part", Part(name="new", notes=[value(lots)])),
        lambda: setattr(state, "parts", [*state.parts, Part()]),
    ]
    lots.choice(acts)()


def change_part(lots: random.Random, part: Part) -> None:
    part.name = lots.choice(["x", "y"])
    if lots.random() < 0.3:
        part.tags = {"fresh"}
    if lots.random() < 0.1:
        part.notes = [value(lots)]


def change(lots: random.Random, state: Whole) -> None:
    target = lots.choice(containers(state))
    if isinstance(target, Whole):
        change_whole(lots, target)
    elif isinstance(target, Part):
        change_part(lots, target)
    elif isinstance(target, set):
        change_set(lots, target)
    elif target is state.parts:
        change_list(lots, target, Part)
    elif target is state.groups:
        change_dict(lots, target, lambda: elements(lots))
    elif isinstance(target, list):
        change_list(lots, target, lambda: value(lots))
    else:
        change_dict(lots, target, lambda: value(lots))


@pytest.mark.proves("STATE-PATCH-EXACT")
@settings(max_examples=150, deadline=None)
@given(lots=st.randoms(use_true_random=False), steps=st.integers(1, 40))
def test_operations_applied_to_the_state_before_give_the_state_after(lots: random.Random, steps: int) -> None:
    state, journal = restored(Whole, {}), Journal()
    begin_recording(state, journal)
    document: Any = {}
    for _ in range(steps):
        change(lots, state)
        if lots.random() < 0.5:
            for ops in journal.take():
                document = patch.apply(document, patch.decode_ops(ops))
            assert exact(document) == exact(state.to_dict())
    for ops in journal.take():
        document = patch.apply(document, patch.decode_ops(ops))
    assert exact(document) == exact(state.to_dict())
    again = restored(Whole, copy.deepcopy(document))
    assert exact(again.to_dict()) == exact(document)
    assert again.tags == state.tags
    assert again == state


@settings(max_examples=100, deadline=None)
@given(lots=st.randoms(use_true_random=False))
def test_a_refused_change_changes_nothing(lots: random.Random) -> None:
    state, journal = restored(Whole, {}), Journal()
    begin_recording(state, journal)
    for _ in range(10):
        change(lots, state)
    journal.take()
    before = state.to_dict()
    for target in containers(state):
        bad: Any = {"deep": [1, {"worse": lots.choice([object(), (1,), float("nan"), b"x", {1: 2}])}]}
        with pytest.raises(StateError):
            put_bad(lots, target, bad)
    assert exact(state.to_dict()) == exact(before)
    assert journal.take() == []
    change(lots, state)
    for ops in journal.take():
        before = patch.apply(before, patch.decode_ops(ops))
    assert exact(before) == exact(state.to_dict())


def put_bad(lots: random.Random, target: Any, bad: Any) -> None:
    acts: list[Callable[[], Any]]
    if isinstance(target, list):
        acts = [lambda: target.append(bad), lambda: target.__setitem__(slice(None), [1, bad])]
    elif isinstance(target, dict):
        acts = [lambda: target.update(fine=1, bad=bad), lambda: target.__setitem__("bad", bad)]
    elif isinstance(target, set):
        acts = [lambda: target.update(["fine", (1, 2)])]
    else:
        names = ["items", "table"] if isinstance(target, Whole) else ["notes"]
        acts = [lambda: setattr(target, lots.choice(names), bad)]
    lots.choice(acts)()


def exact(document: Any) -> str:
    """`repr` tells 1 from 1.0 and True, and keeps the order of keys."""
    return repr(document)
