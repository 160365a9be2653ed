"""When a worker that died is replaced."""

import pytest

from chronicle.daemon.replacing import DEATHS, WITHIN_SECONDS, pause_before_next


def test_the_first_death_is_made_good_at_once() -> None:
    assert pause_before_next([100.0]) == 0.0


def test_the_pauses_grow_with_deaths_in_a_row() -> None:
    pauses = [pause_before_next([100.0 + n for n in range(deaths)]) for deaths in range(1, DEATHS)]
    assert pauses == sorted(pauses, key=lambda pause: pause if pause is not None else -1)
    assert all(pause is not None and pause < 1 for pause in pauses)


def test_too_many_deaths_within_the_window_end_the_mount() -> None:
    assert pause_before_next([100.0 + n for n in range(DEATHS)]) is None


@pytest.mark.parametrize("deaths", [1, 4, 50])
def test_old_deaths_are_forgotten(deaths: int) -> None:
    old = [float(n) / 100 for n in range(deaths)]
    assert pause_before_next([*old, old[-1] + WITHIN_SECONDS + 1]) == 0.0
