"""What no longer counts after an agent was taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diminuendo.domain.rewinds import Rewind, Span, hidden


@pytest.mark.proves("DIM-REWIND")
@pytest.mark.parametrize(
    ("rewinds", "spans"),
    [
        ([], []),
        ([Rewind(10, 4)], [Span(4, 10)]),
        ([Rewind(10, 4), Rewind(20, 12)], [Span(12, 20), Span(4, 10)]),
        ([Rewind(10, 4), Rewind(11, 9)], [Span(9, 11)]),  # the first is undone
        ([Rewind(10, 4), Rewind(11, 9), Rewind(12, 10)], [Span(10, 12), Span(4, 10)]),  # and done again
        ([Rewind(10, 4), Rewind(20, 2)], [Span(2, 20)]),
    ],
    ids=["none", "one", "two", "undone", "redone", "further back"],
)
def test_what_lies_between_a_rewind_and_where_it_led_is_hidden(rewinds: list[Rewind], spans: list[Span]) -> None:
    assert hidden(rewinds) == spans


@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 59)).filter(lambda pair: pair[1] < pair[0]),
        unique_by=lambda p: p[0],
    )
)
def test_the_present_line_is_what_walking_back_finds(pairs: list[tuple[int, int]]) -> None:
    rewinds = {seq: to for seq, to in pairs}
    counts, at = set(), 61
    while at > 0:  # from the newest event back: a rewind leads to where it went, everything else to the one before
        counts.add(at)
        at = rewinds.get(at, at - 1)
    spans = hidden(Rewind(*pair) for pair in pairs)
    assert {seq for seq in range(1, 62) if not any(low < seq < high for low, high in spans)} == counts
