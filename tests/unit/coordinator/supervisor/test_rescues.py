"""Which agents are rescued."""

import pytest

from podium.base.discovery import InstanceRecord
from podium.coordinator.supervisor.moved import NOBODY
from podium.coordinator.supervisor.rescues import is_left_alone
from podium.wire.status import InstanceStatus as S


def record(coordinator_id: str, status: S, *, has_work: bool = True) -> InstanceRecord:
    return InstanceRecord("inst", "agent", "t", "echo", "d", coordinator_id, 1, status, 1, None, has_work)


@pytest.mark.parametrize("status", [S.READY, S.RUNNING, S.WAITING, S.ASLEEP, S.INITIALIZING])
def test_one_with_work_whose_coordinator_is_gone_or_that_is_nobodys(status: S) -> None:
    assert is_left_alone(record("gone", status), {"here"})
    assert is_left_alone(record(NOBODY, status), {"here"})


def test_none_whose_coordinator_is_there() -> None:
    assert not is_left_alone(record("here", S.RUNNING), {"here"})


def test_none_without_work() -> None:
    assert not is_left_alone(record("gone", S.ASLEEP, has_work=False), {"here"})


@pytest.mark.parametrize("status", [S.DEPLOYING, S.STOPPING, S.TERMINATED, S.FAILED])
def test_none_that_is_being_made_stopped_or_over(status: S) -> None:
    assert not is_left_alone(record("gone", status), {"here"})
