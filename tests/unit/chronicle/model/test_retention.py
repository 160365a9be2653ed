"""Which moments stay readable."""

from hypothesis import given
from hypothesis import strategies as st

from chronicle.layout import Retention
from chronicle.model.retention import Kept, keeps


def test_without_a_rule_everything_stays() -> None:
    kept = keeps(Retention(), 100, first_within=None, checkpoints=[])
    assert kept.needs(1, 2)


def test_the_newest_iterations_stay() -> None:
    kept = keeps(Retention(last=10), 100, first_within=None, checkpoints=[])
    assert [kept.keeps(moment) for moment in (90, 91, 100)] == [False, True, True]


def test_head_stays_whatever_the_policy_says() -> None:
    kept = keeps(Retention(last=0), 100, first_within=None, checkpoints=[])
    assert kept.keeps(100)
    assert not kept.keeps(99)


def test_what_is_young_enough_stays() -> None:
    kept = keeps(Retention(within_s=60), 100, first_within=40, checkpoints=[])
    assert [kept.keeps(moment) for moment in (39, 40)] == [False, True]


def test_when_nothing_is_young_enough_head_stays() -> None:
    assert keeps(Retention(within_s=60), 100, first_within=None, checkpoints=[]) == Kept(100)


def test_checkpointed_moments_stay_and_with_them_the_older_versions_current_then() -> None:
    kept = keeps(Retention(last=1, checkpoints=True), 100, first_within=None, checkpoints=[50, 20])
    assert kept.needs(3, 21)
    assert not kept.needs(3, 20)
    assert kept.needs(20, 21)
    assert not kept.needs(51, 100)


def test_checkpoints_count_only_when_the_policy_says_so() -> None:
    assert keeps(Retention(last=1), 100, first_within=None, checkpoints=[50]) == Kept(100)


def test_a_moment_stays_when_any_rule_keeps_it() -> None:
    kept = keeps(Retention(last=5, within_s=9, checkpoints=True), 100, first_within=98, checkpoints=[7, 99])
    assert kept == Kept(96, (7,))


@given(
    since=st.integers(0, 30),
    moments=st.sets(st.integers(0, 30)),
    begin=st.integers(0, 30),
    length=st.integers(1, 10),
)
def test_a_version_is_needed_exactly_when_a_kept_moment_lies_in_its_life(
    since: int, moments: set[int], begin: int, length: int
) -> None:
    kept = Kept(since, tuple(sorted(moments)))
    expected = any(moment >= since or moment in moments for moment in range(begin, begin + length))
    assert kept.needs(begin, begin + length) is expected


def test_what_fits_bounds_all_other_rules_and_is_enough_alone() -> None:
    only = keeps(Retention(history_bytes=9), 100, first_within=None, checkpoints=[50], first_fitting=60)
    assert only == Kept(60)
    assert keeps(Retention(history_bytes=9), 100, first_within=None, checkpoints=[], first_fitting=0) == Kept(0)
    bounded = Retention(last=70, within_s=60, checkpoints=True, history_bytes=9)
    assert keeps(bounded, 100, first_within=20, checkpoints=[10, 50], first_fitting=60) == Kept(60)
    assert keeps(bounded, 100, first_within=90, checkpoints=[10, 25, 99], first_fitting=20) == Kept(31, (25,))
    assert keeps(bounded, 100, first_within=None, checkpoints=[], first_fitting=101) == Kept(100)
