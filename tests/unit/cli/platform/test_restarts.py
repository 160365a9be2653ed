"""When `podium up` starts a daemon again, and when it gives up."""

import signal

import pytest

from podium.cli.platform.restarts import Death, GiveUp, Restart, after_death, described


def test_a_daemon_that_was_well_is_started_again_at_once() -> None:
    assert after_death(3, Death(1, lived=60.0, ever_ready=True)) == Restart(0.1, 0)


def test_a_daemon_killed_from_outside_is_always_started_again() -> None:
    assert after_death(4, Death(-signal.SIGKILL, lived=0.1, ever_ready=True)) == Restart(0.1, 0)


@pytest.mark.proves("CLI-UP-RESTARTS")
def test_early_deaths_wait_longer_each_time_and_then_it_gives_up() -> None:
    failures, delays = 0, []
    while isinstance(decision := after_death(failures, Death(1, lived=0.2, ever_ready=True)), Restart):
        failures = decision.failures
        delays.append(decision.delay)
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert "5 times in a row" in decision.reason
    assert "exit code 1" in decision.reason


def test_what_has_never_been_ready_is_tried_twice() -> None:
    assert isinstance(after_death(0, Death(1, 0.2, ever_ready=False)), Restart)
    assert isinstance(after_death(1, Death(1, 0.2, ever_ready=False)), GiveUp)


def test_a_wrong_configuration_is_not_tried_again() -> None:
    assert after_death(0, Death(78, 0.2, ever_ready=True)) == GiveUp("its configuration is wrong")


def test_signals_have_names() -> None:
    assert described(-9) == "SIGKILL"
    assert described(-250) == "signal 250"
    assert described(2) == "exit code 2"
