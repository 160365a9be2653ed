"""Calls belong to the trace of the code that makes them."""

from collections.abc import Iterator

import pytest
from opentelemetry import context, trace

from podium.base import telemetry
from podium.client import tracing

OURS = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


@pytest.fixture
def theirs() -> Iterator[str]:
    """The program has a span of OpenTelemetry; its trace context."""
    span = trace.SpanContext(0xAB, 0xCD, is_remote=False, trace_flags=trace.TraceFlags(1))
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span)))
    yield f"00-{0xAB:032x}-{0xCD:016x}-01"
    context.detach(token)


def test_a_program_without_a_trace_sends_none() -> None:
    assert tracing.carried() == {}


def test_a_span_of_the_programs_own_is_continued(theirs: str) -> None:
    assert tracing.carried() == {"traceparent": theirs}


def test_inside_a_daemon_its_own_goes_first(theirs: str) -> None:
    with telemetry.span("x", parent=OURS):
        assert tracing.traceparent() == OURS
    assert tracing.traceparent() == theirs
