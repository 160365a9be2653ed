"""Tracking is cheap."""

import pytest

from benchmarks.delta_state import AIM_MICROSECONDS, KINDS, microseconds

SCALARS = [name for name in KINDS if name != "record"]


@pytest.mark.proves("STATE-MUTATION-COST")
@pytest.mark.parametrize("kind", SCALARS)
def test_a_tracked_mutation_costs_microseconds(kind: str) -> None:
    """The aim, 3 µs, is measured by `benchmarks/delta_state.py`; here only that nobody makes it several times slower."""
    _, mutate = KINDS[kind]
    # Other processes only ever make a round longer: one that is quick enough shows what tracking costs.
    assert any(microseconds(mutate, tracked=True) <= 4 * AIM_MICROSECONDS for _ in range(200))
