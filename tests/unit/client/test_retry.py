"""When the client tries again, and how long it waits."""

import pytest

from podium.client.retry import CALLS, NEVER, RETRY_AFTER_MAX_SECONDS, RetryPolicy


@pytest.mark.proves("CLIENT-RETRY")
def test_delays_are_half_a_second_doubled_and_capped_at_four() -> None:
    assert [RetryPolicy(retries=9).ceiling(n) for n in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


@pytest.mark.proves("CLIENT-RETRY")
def test_a_fourth_retry_is_never_made() -> None:
    assert CALLS.delay(3, 0.5) is not None
    assert CALLS.delay(4, 0.5) is None


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 0.0), (0.25, 0.5), (0.999, 1.998)])
def test_jitter_spreads_over_the_whole_delay(chance: float, expected: float) -> None:
    assert CALLS.delay(3, chance) == pytest.approx(expected)


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    assert CALLS.delay(1, 0.0, retry_after=7.0) == 7.0


def test_a_pause_too_long_to_wait_for_ends_the_call() -> None:
    assert CALLS.delay(1, 0.0, retry_after=RETRY_AFTER_MAX_SECONDS + 1) is None


def test_what_is_not_safe_to_repeat_is_tried_once() -> None:
    assert NEVER.delay(1, 0.5) is None
