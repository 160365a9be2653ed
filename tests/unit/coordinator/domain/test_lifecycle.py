"""The life of an instance is a table; every row of it, and everything that is not in it."""

import pytest

from podium.coordinator.domain.lifecycle import TRANSITIONS, Change, ForbiddenChangeError, after, allows
from podium.wire.status import OVER, InstanceStatus

STORY = """
deploying     prepared        initializing
initializing  ready           ready
ready         turn_started    running
running       request_opened  waiting
waiting       requests_closed running
running       turn_ended      ready
waiting       turn_ended      ready
ready         slept           asleep
waiting       slept           asleep
running       slept           asleep
asleep        woken           initializing
stopping      gone            terminated
initializing  process_lost    initializing
ready         process_lost    initializing
running       process_lost    initializing
waiting       process_lost    initializing
initializing  host_lost       asleep
ready         host_lost       asleep
running       host_lost       asleep
waiting       host_lost       asleep
asleep        host_lost       asleep
deploying     stop            stopping
initializing  stop            stopping
ready         stop            stopping
running       stop            stopping
waiting       stop            stopping
asleep        stop            stopping
deploying     gave_up         failed
initializing  gave_up         failed
ready         gave_up         failed
running       gave_up         failed
waiting       gave_up         failed
asleep        gave_up         failed
"""
ROWS = [line.split() for line in STORY.strip().splitlines()]


@pytest.mark.parametrize(("before", "change", "following"), ROWS)
def test_a_change_leads_to_the_state_the_story_tells(before: str, change: str, following: str) -> None:
    assert after(InstanceStatus(before), Change(change)) is InstanceStatus(following)


@pytest.mark.proves("INSTANCE-STATUS-TABLE")
def test_the_story_tells_every_transition() -> None:
    assert {(InstanceStatus(before), Change(change)) for before, change, _ in ROWS} == set(TRANSITIONS)


@pytest.mark.parametrize("status", list(InstanceStatus))
@pytest.mark.parametrize("change", list(Change))
def test_what_is_not_in_the_table_is_refused(status: InstanceStatus, change: Change) -> None:
    if allows(status, change):
        assert after(status, change) in InstanceStatus
    else:
        with pytest.raises(ForbiddenChangeError):
            after(status, change)


def test_an_instance_that_is_over_stays_so() -> None:
    assert not any(allows(status, change) for status in OVER for change in Change)


def test_every_state_can_be_reached_and_every_living_one_can_end() -> None:
    reached, border = set(), {InstanceStatus.DEPLOYING}
    while border:
        reached |= border
        border = {after(status, change) for status, change in TRANSITIONS if status in border} - reached
    assert reached == set(InstanceStatus)
