"""A process that ends by itself is started again a few times, each time later, and then not any more."""

import pytest

from podium.coordinator.domain.restarts import Again, GiveUp, decide
from podium.wire.manifest import Restart

POLICY = Restart(attempts=3, window_ms=60_000, backoff_ms=500)


def story(policy: Restart, moments: list[float]) -> list[float | None]:
    """The wait decided at each moment; None once it gave up."""
    history: tuple[float, ...] = ()
    waits: list[float | None] = []
    for moment in moments:
        decision = decide(policy, history, moment)
        if isinstance(decision, GiveUp):
            waits.append(None)
        else:
            waits.append(decision.wait)
            history = decision.history
    return waits


@pytest.mark.parametrize(
    ("moments", "waits"),
    [
        ([0, 1, 2, 3], [0.5, 1.0, 2.0, None]),
        ([0, 100, 200, 300], [0.5, 0.5, 0.5, 0.5]),
        ([0, 1, 2, 60.5, 61.5], [0.5, 1.0, 2.0, 2.0, 2.0]),
        ([0, 59.9, 119.8], [0.5, 1.0, 1.0]),
    ],
)
def test_restarts_wait_longer_within_the_window_and_start_anew_after_it(
    moments: list[float], waits: list[float | None]
) -> None:
    assert story(POLICY, moments) == waits


def test_no_attempts_means_no_restart() -> None:
    decision = decide(Restart(attempts=0), (), 0.0)
    assert isinstance(decision, GiveUp)


def test_only_recent_restarts_are_remembered() -> None:
    decision = decide(POLICY, (0.0, 1.0), 100.0)
    assert decision == Again(0.5, (100.0,))


def test_the_reason_says_how_often_it_was_tried() -> None:
    decision = decide(POLICY, (0.0, 1.0, 2.0), 3.0)
    assert decision == GiveUp("the process ended again after 3 restarts within 60 s")
