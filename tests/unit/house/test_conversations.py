"""The instruments of the other tests: virtual time, conversations, waiting."""

import asyncio
import time

import pytest

from tests import virtual_time
from tests.playbook import Playbook
from tests.waiting import wait_until


def _double(event: int) -> list[str]:
    return [str(event)] * event


def test_hours_of_virtual_time_pass_at_once() -> None:
    async def wait() -> float:
        await asyncio.sleep(7200)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert virtual_time.run(wait()) == pytest.approx(7200)
    assert time.monotonic() - before < 5


def test_timers_of_virtual_time_fire_in_their_order() -> None:
    seen: list[int] = []

    async def note(seconds: int) -> None:
        await asyncio.sleep(seconds)
        seen.append(seconds)

    async def main() -> None:
        await asyncio.gather(note(30), note(10), note(20))

    virtual_time.run(main())
    assert seen == [10, 20, 30]


@pytest.mark.leaves("tasks")  # the loop is stopped while its task waits for ever: that is what is tested
def test_waiting_for_ever_in_virtual_time_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual_time.NothingCanHappen):
        virtual_time.run(main())


def test_a_conversation_that_goes_as_expected_passes() -> None:
    playbook = Playbook(_double)
    playbook >> 1 << "1" >> 0 >> 2 << "2" << "2"
    playbook.end()


def test_another_decision_is_shown_with_the_transcript() -> None:
    with pytest.raises(AssertionError, match=r">> 1\n- << '7'\n\+ << '1'"):
        Playbook(_double) >> 1 << "7"


def test_a_missing_decision_is_an_error() -> None:
    with pytest.raises(AssertionError, match="no decision"):
        Playbook(_double) >> 0 << "0"


def test_an_unexpected_decision_is_an_error_at_the_next_event_and_at_the_end() -> None:
    playbook = Playbook(_double) >> 2 << "2"
    with pytest.raises(AssertionError, match=r"\+ << '2'"):
        playbook.end()
    with pytest.raises(AssertionError, match=r"\+ << '2'"):
        playbook >> 1


def test_a_condition_that_never_holds_is_named() -> None:
    with pytest.raises(TimeoutError, match="the moon"):
        virtual_time.run(wait_until(lambda: False, timeout=60, what="the moon"))


async def test_a_condition_may_be_awaited() -> None:
    answers = iter([False, True])

    async def ask() -> bool:
        return next(answers)

    await wait_until(ask, timeout=5)
