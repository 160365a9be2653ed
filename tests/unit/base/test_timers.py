"""One heap for all alarms: each rings once, at the moment it wants by then."""

from podium.base.clock import ManualClock
from podium.base.timers import Timers


async def test_alarms_ring_once_and_in_order() -> None:
    clock, rung = ManualClock(), list[str]()
    timers = Timers(clock)
    for name, moment in (("late", 30.0), ("early", 10.0)):
        timers.alarm(lambda name=name: rung.append(name)).set(moment)  # type: ignore[misc]
    clock.advance(20)
    timers.run_due()
    assert rung == ["early"]
    clock.advance(20)
    timers.run_due()
    timers.run_due()
    assert rung == ["early", "late"]
    timers.close()


async def test_an_alarm_rings_at_the_moment_it_was_set_to_last() -> None:
    clock, rung = ManualClock(), list[float]()
    timers = Timers(clock)
    alarm = timers.alarm(lambda: rung.append(clock.monotonic()))
    for moment in (10.0, 40.0, 20.0):
        alarm.set(moment)
    for _ in range(5):
        clock.advance(10)
        timers.run_due()
    assert rung == [20.0]
    timers.close()


async def test_an_alarm_that_was_taken_back_does_not_ring() -> None:
    clock, rung = ManualClock(), list[str]()
    timers = Timers(clock)
    alarm = timers.alarm(lambda: rung.append("rung"))
    alarm.set(10.0)
    alarm.set(None)
    clock.advance(20)
    timers.run_due()
    assert rung == []
    alarm.set(30.0)
    clock.advance(20)
    timers.run_due()
    assert rung == ["rung"]
    timers.close()


async def test_postponing_an_alarm_again_and_again_keeps_the_heap_small() -> None:
    clock = ManualClock()
    timers = Timers(clock)
    alarm = timers.alarm(lambda: None)
    for number in range(10_000):
        alarm.set(100.0 + number)
    assert len(timers) == 1
    timers.close()
    assert len(timers) == 0
