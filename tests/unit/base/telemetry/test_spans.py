"""Trace contexts as text, and spans where nobody records them."""

import pytest

from podium.base import telemetry

GIVEN = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "zz",
        GIVEN.upper(),
        GIVEN + "-more",
        GIVEN + "\n",
        GIVEN.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-0123456789abcdef-01",
        f"00-0123456789abcdef0123456789abcdef-{'0' * 16}-01",
    ],
)
def test_what_is_no_trace_context_counts_as_none(text: str | None) -> None:
    assert telemetry.valid(text) == ""


@pytest.mark.proves("TRACE-PASSED-ON")
def test_without_a_collector_a_span_passes_on_what_it_was_begun_under() -> None:
    assert telemetry.carried() == {}
    with telemetry.span("a", parent=telemetry.accepted({"traceparent": GIVEN})) as outer:
        assert telemetry.carried() == {"traceparent": GIVEN}
        with telemetry.span("b", attributes={"x": 1}) as inner:
            inner.event("happened")
            inner.set({"y": 2})
            assert inner.traceparent == outer.traceparent == GIVEN
        assert telemetry.begin("c", parent="").traceparent == ""
        assert not outer.recorded
    assert telemetry.carried() == {}


def test_a_span_that_fails_is_not_current_any_more() -> None:
    with pytest.raises(ValueError), telemetry.span("a", parent=GIVEN):
        raise ValueError
    assert telemetry.current.get() == ""


def test_the_id_of_a_trace_is_what_logs_name() -> None:
    assert telemetry.trace_id_of(GIVEN) == "0123456789abcdef0123456789abcdef"
    assert telemetry.trace_id_of("") == ""
