"""Retry and breaker composed, on virtual time."""

import asyncio

import pytest

from podium.client.breaker import Circuit
from podium.client.errors import PodiumConnectionError, unreachable
from podium.client.resilience import GuardedCalls, with_retry
from podium.client.retry import CALLS, NEVER
from podium.wire.errors import ErrorCode, PodiumError
from tests.unit.client.virtual import VirtualTime


class Service:
    """Fails as it is told, then answers."""

    def __init__(self, *errors: PodiumConnectionError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def _refused(code: ErrorCode) -> PodiumConnectionError:
    problem = PodiumError(code, "no")
    return PodiumConnectionError("create_instance", problem, status=problem.mapping.status)


def _lost() -> PodiumConnectionError:
    return unreachable("create_instance", "connection refused")


@pytest.mark.proves("CLIENT-RETRY")
async def test_a_call_that_fails_three_times_is_answered_at_the_fourth_try() -> None:
    time, service = VirtualTime(chance=1.0), Service(_lost(), _lost(), _lost())
    assert await with_retry(CALLS, time.timing, service) == "answer"
    assert time.slept == [0.5, 1.0, 2.0]


@pytest.mark.proves("CLIENT-RETRY")
async def test_the_fourth_failure_is_the_callers() -> None:
    time, service = VirtualTime(), Service(*(_lost() for _ in range(9)))
    with pytest.raises(PodiumConnectionError):
        await with_retry(CALLS, time.timing, service)
    assert service.calls == 4


async def test_a_refusal_is_not_repeated() -> None:
    time, service = VirtualTime(), Service(_refused(ErrorCode.AGENT_START_FAILED))
    with pytest.raises(PodiumConnectionError) as caught:
        await with_retry(CALLS, time.timing, service)
    assert caught.value.code is ErrorCode.AGENT_START_FAILED
    assert (service.calls, time.slept) == (1, [])


async def test_what_may_not_be_repeated_is_not() -> None:
    time, service = VirtualTime(), Service(_lost())
    with pytest.raises(PodiumConnectionError):
        await with_retry(NEVER, time.timing, service)
    assert service.calls == 1


@pytest.mark.proves("CLIENT-BREAKER")
async def test_an_open_circuit_fails_at_once_and_asks_nobody() -> None:
    time, service = VirtualTime(), Service(*(_lost() for _ in range(5)))
    guarded = GuardedCalls(time.timing)
    for _ in range(5):
        with pytest.raises(PodiumConnectionError):
            await guarded.call("create_instance", service)
    with pytest.raises(PodiumConnectionError, match="not asked again for 30 s") as caught:
        await guarded.call("create_instance", service)
    assert service.calls == 5
    assert caught.value.retry_after == pytest.approx(30.0)
    time.now += 30
    assert await guarded.call("create_instance", service) == "answer"
    assert guarded.state.circuit is Circuit.CLOSED


@pytest.mark.proves("CLIENT-BREAKER")
async def test_of_many_calls_at_half_open_one_goes_through() -> None:
    time, service = VirtualTime(), Service(*(_lost() for _ in range(5)))
    guarded = GuardedCalls(time.timing)
    for _ in range(5):
        with pytest.raises(PodiumConnectionError):
            await guarded.call("create_instance", service)
    time.now += 30
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow answer"

    async with asyncio.TaskGroup() as group:
        trial = group.create_task(guarded.call("create_instance", slow))
        await asyncio.sleep(0)
        with pytest.raises(PodiumConnectionError):
            await guarded.call("create_instance", service)
        gate.set()
    assert trial.result() == "slow answer"
    assert service.calls == 5


async def test_refused_requests_do_not_open_the_circuit() -> None:
    time = VirtualTime()
    guarded = GuardedCalls(time.timing)
    service = Service(*(_refused(ErrorCode.DEPLOYMENT_NOT_FOUND) for _ in range(7)))
    for _ in range(7):
        with pytest.raises(PodiumConnectionError):
            await guarded.call("create_instance", service)
    assert guarded.state.circuit is Circuit.CLOSED


async def test_a_cancelled_trial_does_not_block_the_circuit() -> None:
    time, service = VirtualTime(), Service(*(_lost() for _ in range(5)))
    guarded = GuardedCalls(time.timing)
    for _ in range(5):
        with pytest.raises(PodiumConnectionError):
            await guarded.call("create_instance", service)
    time.now += 30

    async def cancelled() -> str:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await guarded.call("create_instance", cancelled)
    assert await guarded.call("create_instance", service) == "answer"
