"""Tracking is cheap."""

import pytest

from benchmarks.delta_state import AIM_MICROSECONDS, KINDS, microseconds

SCALARS = [name for name in KINDS if "…" not in name]


@pytest.mark.proves("STATE-MUTATION-COST")
@pytest.mark.parametrize("kind", SCALARS)
def test_a_tracked_mutation_costs_at_most_three_microseconds(kind: str) -> None:
    assert min(microseconds(KINDS[kind], tracked=True) for _ in range(5)) <= AIM_MICROSECONDS
