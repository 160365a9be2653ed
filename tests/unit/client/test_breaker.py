"""The circuit breaker as a table of transitions."""

import pytest

from podium.client.breaker import COOLDOWN_SECONDS, THRESHOLD, Breaker, Circuit


def _after_failures(count: int, now: float = 100.0) -> Breaker:
    state = Breaker()
    for _ in range(count):
        state = state.failed(now)
    return state


@pytest.mark.proves("CLIENT-BREAKER")
def test_it_opens_with_the_fifth_failure_in_a_row() -> None:
    assert THRESHOLD == 5
    assert _after_failures(4).circuit is Circuit.CLOSED
    assert _after_failures(5).circuit is Circuit.OPEN


@pytest.mark.proves("CLIENT-BREAKER")
def test_a_success_in_between_starts_the_count_again() -> None:
    state = _after_failures(4).succeeded()
    assert state == Breaker()
    assert state.failed(1.0).circuit is Circuit.CLOSED


@pytest.mark.proves("CLIENT-BREAKER")
def test_while_open_nothing_goes_through_for_thirty_seconds() -> None:
    state = _after_failures(5, now=100.0)
    assert COOLDOWN_SECONDS == 30.0
    assert state.entered(129.9) is None
    assert state.remaining(110.0) == pytest.approx(20.0)


@pytest.mark.proves("CLIENT-BREAKER")
def test_half_open_lets_exactly_one_call_through() -> None:
    trial = _after_failures(5, now=100.0).entered(130.0)
    assert trial is not None
    assert trial.circuit is Circuit.HALF_OPEN
    assert trial.entered(130.1) is None


def test_the_trial_closes_or_opens_it_again() -> None:
    trial = Breaker(Circuit.HALF_OPEN, 5, 130.0)
    assert trial.succeeded().circuit is Circuit.CLOSED
    again = trial.failed(131.0)
    assert again.circuit is Circuit.OPEN
    assert again.entered(160.9) is None
    assert again.entered(161.0) is not None


def test_a_cancelled_trial_lets_the_next_one_try() -> None:
    abandoned = Breaker(Circuit.HALF_OPEN, 5, 130.0).abandoned(131.0)
    assert abandoned.entered(131.0) is not None


def test_cancelling_a_call_of_a_closed_circuit_changes_nothing() -> None:
    assert _after_failures(3).abandoned(1.0) == _after_failures(3)
