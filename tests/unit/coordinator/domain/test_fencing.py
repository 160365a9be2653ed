"""When a host that can't renew its leases asks, kills, and writes no more."""

from podium.base.discovery.port import LEASE_TTL_SECONDS
from podium.coordinator.domain import fencing
from podium.coordinator.domain.fencing import Fence, Verdict, judge


def test_a_lease_lives_as_long_as_discovery_says() -> None:
    assert fencing.LEASE_SECONDS == LEASE_TTL_SECONDS
    assert fencing.DOUBT_SECONDS < fencing.FENCE_SECONDS < fencing.WRITE_SECONDS < fencing.LEASE_SECONDS


def test_nothing_is_fenced_that_is_not_held() -> None:
    fence = Fence()
    assert not fence.has_doubts(1e9)
    assert not fence.is_due(1e9)
    assert fence.may_write(1e9)


def test_a_host_that_renews_is_never_fenced() -> None:
    fence = Fence()
    for moment in range(0, 100, 3):
        fence.renewed(float(moment))
        assert not fence.has_doubts(moment + 3.5)
        assert not fence.is_due(moment + 3.5)


def test_it_doubts_then_kills_then_writes_no_more() -> None:
    fence = Fence()
    fence.renewed(100.0)
    assert not fence.has_doubts(103.9)
    assert fence.has_doubts(104.0)
    assert not fence.is_due(106.9)
    assert fence.is_due(107.0)
    assert fence.may_write(107.9)
    assert not fence.may_write(108.0)
    fence.put_up()
    assert not fence.is_due(109.0), "it is up"
    assert not fence.may_write(101.0), "and nothing is written, whatever the time"
    fence.renewed(120.0)
    assert fence.may_write(120.5)


def test_an_old_answer_renews_nothing() -> None:
    fence = Fence()
    fence.renewed(100.0)
    fence.renewed(90.0)
    assert fence.is_due(107.0)


def test_discovery_that_is_away_for_everyone_excuses_for_a_while() -> None:
    fence = Fence()
    fence.renewed(100.0)
    for asked in range(104, 155):
        fence.excused(float(asked))
        assert not fence.is_due(asked + 4.9)
        assert fence.has_doubts(asked + 1.0), "it is asked again"
    assert fence.is_due(159.0), "nobody has said so lately"


def test_the_excuse_ends_with_the_grace() -> None:
    fence = Fence()
    fence.renewed(100.0)
    fence.excused(159.0)
    assert not fence.is_due(159.9)
    assert fence.is_due(160.0)


def test_discovery_is_away_when_one_says_so_and_none_reaches_it() -> None:
    assert judge([False, None]) is Verdict.AWAY
    assert judge([]) is Verdict.AWAY, "there is nobody who could take anything"


def test_it_is_there_when_one_reaches_it() -> None:
    assert judge([False, True, None]) is Verdict.THERE


def test_nobody_knows_when_nobody_answers() -> None:
    assert judge([None, None]) is Verdict.UNKNOWN
