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


@pytest.mark.noisy("notice_dropped")
async def test_a_subscriber_that_does_not_read_loses_the_oldest() -> None:
    subscribers = Subscribers()
    queue = subscribers.add(("x",))
    for number in range(WAITING_MAX + 2):
        subscribers.give(Notice("x", {"n": number}))
    assert (await anext(queue)).payload == {"n": 2}
