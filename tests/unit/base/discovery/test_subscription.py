import gc

import pytest

from podium.base.discovery import Notice
from podium.base.discovery.subscription import WAITING_MAX, Subscribers


async def test_a_subscription_its_owner_let_go_vanishes() -> None:
    subscribers = Subscribers()
    kept = subscribers.add(("x",))
    subscribers.add(("x",))
    gc.collect()
    assert len(subscribers) == 1
    await kept.aclose()
    assert len(subscribers) == 0


@pytest.mark.noisy("notices_dropped")
async def test_a_subscriber_that_does_not_read_is_told_that_it_missed_something() -> None:
    subscribers = Subscribers()
    queue, idle = subscribers.add(("x", "y")), subscribers.add(("y",))
    for number in range(WAITING_MAX + 2):
        subscribers.give(Notice("x", {"n": number}))
    heard = [await anext(queue) for _ in range(4)]
    assert heard[:2] == [Notice("x", {}, missed=True), Notice("y", {}, missed=True)]
    assert [notice.payload["n"] for notice in heard[2:]] == [WAITING_MAX, WAITING_MAX + 1]
    subscribers.miss()
    assert await anext(idle) == Notice("y", {}, missed=True)
