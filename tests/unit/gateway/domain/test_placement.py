"""Where a new instance starts."""

from typing import Literal

import pytest

from podium.base.discovery import CoordinatorRecord
from podium.gateway.domain.placement import choose, fullness
from podium.wire.errors import PodiumError
from podium.wire.rest import Load


def host(
    name: str, agents: int = 0, *, limit: int = 10, cpu: float = 0.0, state: Literal["active", "draining"] = "active"
) -> CoordinatorRecord:
    """A coordinator."""
    return CoordinatorRecord(name, "http://x", "0", 0, state, Load(agents, limit, cpu, 0, 0))


def test_of_two_random_ones_the_less_loaded_is_taken() -> None:
    hosts = [host("a", 5), host("b", 1), host("c", 9)]
    picks = iter([0, 1])  # a, then c of the others
    assert choose(hosts, lambda _: next(picks)).coordinator_id == "a"
    picks = iter([2, 1])  # c, then b of the others
    assert choose(hosts, lambda _: next(picks)).coordinator_id == "b"


def test_the_fullest_of_its_resources_makes_a_host_full() -> None:
    assert fullness(host("a", 5)) == 0.5
    assert fullness(host("a", 5, cpu=0.9)) == 0.9


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
