from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from podium.coordinator.adapters.store.thinning import superfluous


def kept_after(versions: list[int], given_versions: list[int]) -> list[int]:
    """What is left when every snapshot is followed by a thinning."""
    kept: list[int] = []
    for version in versions:
        kept.append(version)
        gone = superfluous(kept, [v for v in given_versions if v <= version])
        kept = [v for v in kept if v not in gone]
    return kept


def test_a_single_snapshot_stays() -> None:
    assert superfluous([256], []) == []
    assert superfluous([], [1]) == []


def test_of_a_thousand_snapshots_about_a_logarithm_remains() -> None:
    kept = kept_after(list(range(256, 256_001, 256)), [])
    assert len(kept) <= 20
    assert kept[-1] == 256_000


def test_what_was_written_whole_is_never_removed() -> None:
    versions = list(range(10, 1000, 10))
    assert not set(superfluous(versions, [1, 11, 21, 505])) & {1, 11, 21, 505}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=120), st.sets(st.integers(1, 40)))
def test_gaps_grow_no_faster_than_age(steps: list[int], given_versions: set[int]) -> None:
    versions = [sum(steps[: n + 1]) for n in range(len(steps))]
    kept = kept_after(versions, sorted(given_versions))
    assert kept[-1] == versions[-1]
    widest = max(steps)
    points = sorted({0, *kept, *(v for v in given_versions if v <= versions[-1])})
    for older, newer in pairwise(points):
        assert newer - older <= max(points[-1] - newer, 0) + widest
