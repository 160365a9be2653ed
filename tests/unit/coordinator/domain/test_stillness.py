"""Databases that nobody writes are followed no more; the next commit has them followed again."""

from podium.coordinator.domain.stillness import STILL_SECONDS, Order, Stillness


def test_databases_rest_when_nobody_has_committed_for_a_while() -> None:
    still = Stillness()
    assert still.look("a", 100.0, rests=False) is Order.NOTHING
    assert still.look("a", 100.0 + STILL_SECONDS - 0.1, rests=False) is Order.NOTHING
    assert still.look("a", 100.0 + STILL_SECONDS, rests=False) is Order.REST
    assert still.look("a", 1000.0, rests=True) is Order.NOTHING


def test_a_commit_begins_the_while_anew() -> None:
    still = Stillness()
    for number in range(10):
        assert still.look(number, number * (STILL_SECONDS - 0.1), rests=False) is Order.NOTHING


def test_databases_that_rest_are_followed_after_a_commit() -> None:
    still = Stillness()
    still.look("a", 0.0, rests=False)
    assert still.look("a", STILL_SECONDS, rests=False) is Order.REST
    assert still.look("b", STILL_SECONDS + 0.5, rests=True) is Order.FOLLOW
    assert still.look("b", 2 * STILL_SECONDS + 0.5, rests=False) is Order.REST


def test_a_commit_that_came_while_they_were_put_to_rest_is_seen() -> None:
    still = Stillness()
    still.look("before", 0.0, rests=False)
    assert still.look("before", STILL_SECONDS, rests=False) is Order.REST
    assert still.look("meanwhile", STILL_SECONDS + 3.0, rests=True) is Order.FOLLOW


def test_what_somebody_else_had_followed_rests_again_at_once() -> None:
    still = Stillness()
    still.look("a", 0.0, rests=False)
    assert still.look("a", 100.0, rests=True) is Order.NOTHING
    assert still.look("a", 100.5, rests=False) is Order.REST


def test_resting_that_failed_is_tried_again_after_a_while() -> None:
    still = Stillness()
    still.look("a", 0.0, rests=False)
    assert still.look("a", STILL_SECONDS, rests=False) is Order.REST
    still.again(STILL_SECONDS)
    assert still.look("a", STILL_SECONDS + 0.5, rests=False) is Order.NOTHING
    assert still.look("a", 2 * STILL_SECONDS, rests=False) is Order.REST
