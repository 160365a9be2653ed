"""Where a new instance starts."""

import random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.base.discovery import CoordinatorRecord
from podium.gateway.domain.placement import NEAR, PLACEMENT_TRIES, choose, fullness, has_room
from podium.wire.errors import PodiumError
from podium.wire.rest import Load


def host(
    name: str, agents: int = 0, *, limit: int = 10, cpu: float = 0.0, state: Literal["active", "draining"] = "active"
) -> CoordinatorRecord:
    """A coordinator."""
    return CoordinatorRecord(name, "http://x", "0", 0, state, Load(agents, limit, cpu, 0, 0))


loads = st.builds(Load, st.integers(0, 12), st.integers(0, 10), st.floats(0, 1), st.integers(0, 12), st.integers(0, 10))
states: st.SearchStrategy[Literal["active", "draining"]] = st.sampled_from(["active", "draining"])
clusters = st.lists(st.tuples(loads, states), max_size=8).map(
    lambda drawn: [CoordinatorRecord(str(n), "", "0", 0, state, load) for n, (load, state) in enumerate(drawn)]
)


@given(clusters, st.sets(st.integers(0, 7).map(str)), st.randoms())
def test_only_one_that_takes_agents_and_was_not_tried_is_chosen(
    hosts: list[CoordinatorRecord], tried: set[str], chance: random.Random
) -> None:
    takes = {each.coordinator_id for each in hosts if has_room(each)} - tried
    if takes:
        assert choose(hosts, chance.randrange, tried=tried).coordinator_id in takes
    else:
        with pytest.raises(PodiumError, match="no coordinator takes new agents"):
            choose(hosts, chance.randrange, tried=tried)


@given(clusters, st.randoms())
def test_one_that_is_fuller_than_all_others_is_never_chosen(
    hosts: list[CoordinatorRecord], chance: random.Random
) -> None:
    taking = [each for each in hosts if has_room(each)]
    if len(taking) > 1:
        *others, fullest = sorted(taking, key=fullness)
        if fullness(fullest) > max(map(fullness, others)) + NEAR:
            assert choose(hosts, chance.randrange) is not fullest


@given(clusters, st.randoms())
def test_who_is_refused_asks_another_one_each_time(hosts: list[CoordinatorRecord], chance: random.Random) -> None:
    tried: list[str] = []
    for _ in range(min(PLACEMENT_TRIES, sum(map(has_room, hosts)))):
        tried.append(choose(hosts, chance.randrange, tried=tried).coordinator_id)
    assert len(set(tried)) == len(tried)


@given(st.lists(st.floats(0, 0.9), min_size=2, max_size=6), st.data())
def test_the_order_in_which_coordinators_are_listed_gives_nobody_more(cpus: list[float], data: st.DataObject) -> None:
    hosts = [host(str(number), cpu=cpu) for number, cpu in enumerate(cpus)]
    shuffled = data.draw(st.permutations(hosts))
    assert _shares(hosts) == _shares(shuffled)


def _shares(hosts: list[CoordinatorRecord]) -> dict[str, int]:
    """How often each is chosen when every possible pair of random numbers comes once."""
    count, got = len(hosts), {each.coordinator_id: 0 for each in hosts}
    for first in range(count):
        for second in range(count - 1):
            picks = iter([first, second])
            got[choose(hosts, lambda _, picks=picks: next(picks)).coordinator_id] += 1  # type: ignore[misc]
    return got


def test_of_two_hosts_the_less_loaded_is_taken_and_either_when_they_are_about_equal() -> None:
    assert _shares([host("a", 3), host("b", 4)]) == {"a": 2, "b": 0}
    assert _shares([host("a", cpu=0.5), host("b", cpu=0.51)]) == {"a": 1, "b": 1}


def test_of_many_the_less_loaded_get_more_and_the_least_loaded_does_not_get_all() -> None:
    assert _shares([host("a", 1), host("b", 2), host("c", 3), host("d", 4)]) == {"a": 6, "b": 4, "c": 2, "d": 0}


def test_the_fullest_of_its_resources_makes_a_host_full() -> None:
    assert fullness(host("a", 5)) == 0.5
    assert fullness(host("a", 5, cpu=0.9)) == 0.9
    assert fullness(CoordinatorRecord("a", "", "0", 0, "active", Load(1, 10, 0.2, 700, 1000))) == 0.7


@pytest.mark.parametrize(
    "hosts",
    [[], [host("a", 10)], [host("a", state="draining")], [host("tried")]],
    ids=["none", "full", "draining", "tried"],
)
def test_without_room_anywhere_the_caller_is_told_when_to_come_back(hosts: list[CoordinatorRecord]) -> None:
    with pytest.raises(PodiumError) as error:
        choose(hosts, lambda _: 0, tried={"tried"})
    assert error.value.code == "no_coordinator_available"
    assert error.value.retry_after


def test_an_agent_goes_to_the_host_that_has_its_data_however_full() -> None:
    assert choose([host("a"), host("b", 10)], lambda _: 0, home="b").coordinator_id == "b"


@pytest.mark.parametrize(
    ("hosts", "tried", "code"),
    [
        ([host("a")], set(), "coordinator_unreachable"),
        ([host("b")], {"b"}, "coordinator_unreachable"),
        ([host("b", state="draining")], set(), "draining"),
    ],
)
def test_an_agent_whose_host_can_not_take_it_goes_nowhere_else(
    hosts: list[CoordinatorRecord], tried: set[str], code: str
) -> None:
    with pytest.raises(PodiumError) as error:
        choose(hosts, lambda _: 0, home="b", tried=tried)
    assert error.value.code == code
