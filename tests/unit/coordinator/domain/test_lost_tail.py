import pytest

from podium.coordinator.domain.lost_tail import Known, fill_upto
from podium.wire.status import InstanceStatus

BUSY, RESTING = InstanceStatus.RUNNING, InstanceStatus.READY


@pytest.mark.parametrize("status", [InstanceStatus.READY, InstanceStatus.ASLEEP, InstanceStatus.FAILED])
def test_of_an_agent_at_rest_exactly_what_was_shown_is_filled(status: InstanceStatus) -> None:
    assert fill_upto(Known(40, 47, 0, status), 100) == 47


def test_nothing_is_filled_when_the_replica_has_everything() -> None:
    assert fill_upto(Known(47, 47, 47, RESTING), 100) == 47
    assert fill_upto(Known(50, 47, 0, RESTING), 100) == 50


@pytest.mark.parametrize("status", [BUSY, InstanceStatus.WAITING, InstanceStatus.INITIALIZING, InstanceStatus.STOPPING])
def test_a_busy_agent_may_have_shown_more_than_was_told(status: InstanceStatus) -> None:
    assert fill_upto(Known(40, 47, 0, status), 100) == 147


@pytest.mark.parametrize("status", [InstanceStatus.READY, InstanceStatus.ASLEEP])
def test_an_agent_that_worked_a_moment_ago_may_have_gone_on_unnoticed(status: InstanceStatus) -> None:
    assert fill_upto(Known(40, 47, 0, status, worked=True), 100) == 147
    assert fill_upto(Known(40, 47, 0, status, worked=True, given_up=True), 100) == 47
    assert fill_upto(Known(40, 47, 0, status, worked=True, synced=True), 100) == 47


def test_what_the_gateway_saw_counts_as_well() -> None:
    assert fill_upto(Known(40, 47, 60, RESTING), 100) == 60
    assert fill_upto(Known(40, 47, 60, BUSY), 100) == 160


def test_a_gateway_that_claims_to_have_seen_the_impossible_is_not_believed() -> None:
    assert fill_upto(Known(40, 47, 10**9, RESTING), 100) == 147


def test_who_shows_only_what_is_replicated_or_gave_the_agent_away_leaves_nothing_unknown() -> None:
    assert fill_upto(Known(50, 47, 47, BUSY, synced=True), 100) == 50
    assert fill_upto(Known(50, 47, 0, BUSY, given_up=True), 100) == 50
