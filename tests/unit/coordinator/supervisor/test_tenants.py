"""What agents of a tenant spend on all hosts pauses them here, and lets them go on when there is more."""

import pytest

from podium.base.clock import ManualClock
from podium.coordinator.supervisor.instance import Instance
from podium.wire.budgets import Allowance, day_of
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.status import InstanceStatus
from tests.unit.coordinator.twins import House, contents, polite, send, texts, until
from tests.waiting import wait_until

DAY_SECONDS = 86_400.0


def spends(house: House, micro_dollars: int, message_id: str) -> None:
    """The newest agent tells what a call cost."""
    used = {"model": "m", "provider": "p", "input_tokens": 1, "output_tokens": 1, "cached_tokens": 0}
    house.host.agent.emit(message_id, "usage.update", {**used, "cost_micro_dollars": micro_dollars})
    house.host.agent.flush()


async def allow(house: House, per_day: int) -> None:
    await house.discovery.add_spending("default", day_of(house.clock.now_ms()), 0, Allowance(per_day=per_day))


async def spent_elsewhere(house: House, micro_dollars: int) -> None:
    await house.discovery.add_spending("default", day_of(house.clock.now_ms()), micro_dollars)


async def paused_by_other_hosts(house: House) -> tuple[Instance, str]:
    """An agent that was in a turn when it learnt that its tenant has spent what it may; the id of its message."""
    house.host.play = polite
    await allow(house, 100)
    instance = await house.create()
    message_id = send(instance, "work").message_id or ""
    await until(lambda: house.host.agent.messages() == [message_id])
    await spent_elsewhere(house, 95)
    spends(house, 5, message_id)
    await until(lambda: instance.status is InstanceStatus.ASLEEP and not instance.life.busy, "its pause")
    return instance, message_id


@pytest.mark.proves("LIMIT-TENANT-BUDGET")
async def test_agents_of_a_tenant_that_spent_its_allowance_are_paused_and_others_are_not(house: House) -> None:
    house.host.play = polite
    other = await house.create("other", tenant_id="another")
    instance, _ = await paused_by_other_hosts(house)
    assert other.status is InstanceStatus.READY
    assert contents(instance, "budget.updated")[-1]["paused"]
    assert "paused: its tenant has spent what it may" in texts(instance)
    with pytest.raises(PodiumError, match="tenant has spent") as refused:
        instance.budget.check()
    assert refused.value.code is ErrorCode.QUOTA_EXCEEDED
    send(instance, "more")
    assert (instance.queue.has_work, instance.life.busy) == (True, False), "what comes is kept"


@pytest.mark.proves("LIMIT-TENANT-BUDGET")
async def test_the_turn_is_run_again_when_an_operator_allows_more(house: House) -> None:
    instance, message_id = await paused_by_other_hosts(house)
    await allow(house, 200)
    await until(lambda: len(house.host.started) == 2 and house.host.agent.messages() == [message_id], "its turn")
    assert not contents(instance, "budget.updated")[-1]["paused"]


@pytest.mark.proves("LIMIT-TENANT-BUDGET")
async def test_the_turn_is_run_again_when_the_day_is_over(timed_house: House, clock: ManualClock) -> None:
    house = timed_house
    _, message_id = await paused_by_other_hosts(house)
    clock.advance(DAY_SECONDS)
    await until(lambda: len(house.host.started) == 2 and house.host.agent.messages() == [message_id], "its turn")


@pytest.mark.noisy("discovery_unreachable")
async def test_while_discovery_is_away_what_is_known_counts_and_nothing_is_lost(house: House) -> None:
    house.host.play = polite
    await allow(house, 100)
    instance = await house.create()
    message_id = send(instance, "work").message_id or ""
    await until(lambda: house.host.agent.messages() == [message_id])
    spends(house, 40, message_id)

    async def counted(micro_dollars: int) -> bool:
        return (await house.discovery.add_spending("default", day_of(house.clock.now_ms()), 0)).day == micro_dollars

    await wait_until(lambda: counted(40), 30)
    house.discovery.available = False
    spends(house, 60, message_id)
    await until(lambda: instance.status is InstanceStatus.ASLEEP, "its pause by what this host knows")
    house.discovery.available = True
    await wait_until(lambda: counted(100), 30)
