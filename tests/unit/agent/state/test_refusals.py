"""What a state does not take, and that it says where."""

import copy
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable
from typing import Any, Optional, Union

import pytest

from podium.agent.errors import StateAliasError, StateError, StateFieldError, StateValueError
from podium.agent.state import DeltaState
from podium.agent.state.journal import Journal
from podium.agent.state.root import begin_recording, restored


class Colour(enum.StrEnum):
    RED = "red"


class Item(DeltaState):
    name: str = ""


class Box(DeltaState):
    count: int = 0
    items: list[Any] = []
    table: dict[str, Any] = {}
    tags: set[str] = set()
    maybe: Optional[set[int]] = None  # noqa: UP045 - the old spelling is read too
    item: Item | None = None
    wanted: str


def box() -> Box:
    state = restored(Box, {})
    begin_recording(state, Journal())
    return state


@pytest.mark.proves("STATE-REFUSES-NON-JSON")
@pytest.mark.parametrize(
    ("value", "where"),
    [
        (float("nan"), "/table/k"),
        (float("-inf"), "/table/k"),
        ((1, 2), "/table/k"),
        ([1, {"deep": (1,)}], "/table/k/1/deep"),
        ({"a/b": object()}, "/table/k/a~1b"),
        ({1: "x"}, "/table/k"),
        ({None: "x"}, "/table/k"),
        (b"bytes", "/table/k"),
        ({1, 2}, "/table/k"),
        (frozenset(), "/table/k"),
        (datetime.datetime.now(tz=datetime.UTC), "/table/k"),
        (decimal.Decimal(1), "/table/k"),
        (uuid.UUID(int=1), "/table/k"),
        ("\ud800", "/table/k"),
        ({"\udfff": 1}, "/table/k"),
        (2**1025, "/table/k"),
        (1j, "/table/k"),
        (print, "/table/k"),
        (Item(), "/table/k"),
    ],
)
def test_a_value_json_cannot_hold_is_refused_naming_the_path(value: Any, where: str) -> None:
    state = box()
    before = state.to_dict()
    with pytest.raises(StateValueError) as refused:
        state.table["k"] = value
    assert refused.value.path == where
    assert state.to_dict() == before
    assert isinstance(refused.value, ValueError)


def test_a_deep_value_is_refused_not_a_recursion_error() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(StateValueError, match="nested deeper"):
        box().items.append(deep)


@pytest.mark.proves("STATE-NO-SPLIT-ALIAS")
@pytest.mark.parametrize(
    "share",
    [
        lambda s, x: (s.table.update(a=x), s.table.update(b=x)),
        lambda s, x: (s.__setattr__("items", x), s.table.update(b=x)),
        lambda s, x: s.table.update(a=[x, x]),
        lambda s, x: s.items.extend([x, x]),
        lambda s, x: (s.items.append(x), s.items.append(s.items[0])),
        lambda s, x: (s.items.append([x]), s.table.update(b=x)),
        lambda s, x: (s.items.append(x), s.table.update(b=[s.items[0]])),
        lambda s, x: s.items.append(s.items),
        lambda s, x: s.items.append({"up": s.items}),
        lambda s, x: s.table.update(me=s),
        lambda s, x: (s.items.append(x), s.items.__imul__(2)),
    ],
)
def test_the_same_container_in_two_places_is_refused(share: Callable[[Box, Any], Any]) -> None:
    state = box()
    with pytest.raises(StateAliasError):
        share(state, [1])


def test_a_cycle_is_refused() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    state = box()
    with pytest.raises(StateAliasError, match="contain itself") as refused:
        state.items.append(loop)
    assert refused.value.path == "/items/-/0/again"


def test_a_cycle_through_detached_containers_is_refused() -> None:
    state = box()
    state.items = [{}, {}]
    one, two = state.items.pop(), state.items.pop()
    one["two"] = two
    with pytest.raises(StateAliasError):
        two["one"] = one


@pytest.mark.parametrize(
    "natural",
    [
        lambda s: setattr(s, "items", s.items),
        lambda s: setattr(s, "items", [x for x in s.items if x["n"]]),
        lambda s: setattr(s, "items", sorted(s.items, key=lambda x: -x["n"])),
        lambda s: setattr(s, "items", s.items + [{"n": 5}]),  # noqa: RUF005 - the plain operator is meant
        lambda s: setattr(s, "table", {**s.table, "k": {}}),
        lambda s: s.items.__setitem__(slice(None), list(reversed(s.items))),
        lambda s: s.items.append(s.items.pop(0)),
        lambda s: s.items.append(copy.copy(s.items[0])),
        lambda s: s.items.append(copy.deepcopy(s.items[0])),
        lambda s: s.items.append(dict(s.items[0])),
        lambda s: s.items.__setitem__(0, s.items[0]),
        lambda s: s.items.__setitem__(0, {"was": s.items[0]}),
    ],
)
def test_natural_rearrangements_are_no_aliases(natural: Callable[[Box], Any]) -> None:
    state = box()
    state.items = [{"n": 0}, {"n": 1}, {"n": 2}]
    state.table = {"a": {"b": [1]}}
    natural(state)
    assert all(state.items[n]._parent is state.items for n in range(len(state.items)))


def test_after_a_refused_replacement_the_old_value_is_still_tracked() -> None:
    state = box()
    state.items = [{"n": 0}]
    journal = state._journal
    assert journal is not None
    with pytest.raises(StateError):
        state.items = [state.items[0], (1,)]
    journal.take()
    state.items[0]["n"] = 7
    assert b"".join(journal.take()) == b'[{"op":"replace","path":"/items/0/n","value":7}]'


def test_an_undeclared_field_is_refused_with_the_nearest_name() -> None:
    state = box()
    with pytest.raises(StateFieldError, match="did you mean 'count'"):
        state.cuont = 1
    with pytest.raises(AttributeError, match="no value"):
        _ = state.wanted


def test_a_deleted_field_does_not_show_a_shared_default() -> None:
    state = box()
    del state.items
    with pytest.raises(AttributeError):
        state.items.append(1)


def test_defaults_are_copied_per_instance() -> None:
    first, second = Box(), Box()
    first.items.append(1)
    assert (second.items, Box().items) == ([], [])


def test_a_declared_set_does_not_take_a_list_and_a_declared_object_no_dict() -> None:
    state = box()
    with pytest.raises(StateValueError, match="declared as a set"):
        state.tags = ["a"]  # type: ignore[assignment]
    with pytest.raises(StateValueError, match="declared as Item"):
        state.item = {"name": "x"}  # type: ignore[assignment]
    with pytest.raises(StateValueError, match="/tags"):
        state.tags.add((1, 2))  # type: ignore[arg-type]


def test_members_of_enumerations_are_stored_as_their_values() -> None:
    state = box()
    state.table["colour"] = Colour.RED
    assert type(state.table["colour"]) is str
    assert state.table["colour"] == "red"


def test_a_union_whose_json_is_ambiguous_is_refused_with_the_class() -> None:
    class Ambiguous(DeltaState):
        either: Union[set[int], list[int], None] = None  # noqa: UP007 - the old spelling is read too

    with pytest.raises(TypeError, match="could not tell"):
        Ambiguous()


def test_fields_may_be_inherited_and_written_without_annotations() -> None:
    class Small(Box):
        extra = 5
        seen = []  # type: ignore[var-annotated]

        @property
        def doubled(self) -> int:
            return self.extra * 2

    state = Small(count=2)
    state.seen.append(1)
    assert (state.count, state.extra, state.seen, state.doubled) == (2, 5, [1], 10)
    assert "doubled" not in state.to_dict()


def test_copies_are_plain_and_independent() -> None:
    state = Box(items=[{"n": 1}], tags={"a"})
    copied = copy.deepcopy(state.items)
    copied[0]["n"] = 2
    assert (type(copied), type(copied[0]), state.items[0]["n"]) == (list, dict, 1)
    assert type(copy.deepcopy(state.tags)) is set
    twin = copy.deepcopy(state)
    assert twin == state
    assert twin is not state


def test_sources_nobody_holds_are_forgotten() -> None:
    state = box()
    journal = state._journal
    assert journal is not None
    held = [1]
    state.table["held"] = held
    for n in range(500):
        state.items.append({"n": [n]})
        journal.take()
    assert len(journal._sources) < 200
    with pytest.raises(StateAliasError):
        state.table["twice"] = held
