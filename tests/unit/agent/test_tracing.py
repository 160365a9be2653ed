"""The trace of a turn reaches what the author uses: OpenTelemetry, and the programs it starts."""

import contextvars
import os

import pytest
from opentelemetry import trace

from podium.agent import tracing

GIVEN = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def test_opentelemetry_goes_on_with_the_trace_of_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracing.VARIABLE, "")

    def turn() -> trace.SpanContext:
        tracing.go_on(GIVEN)
        return trace.get_current_span().get_span_context()

    found = contextvars.copy_context().run(turn)  # as a task has a context of its own
    assert f"{found.trace_id:032x}" == GIVEN[3:35]
    assert f"{found.span_id:016x}" == GIVEN[36:52]
    assert os.environ[tracing.VARIABLE] == GIVEN
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_turn_without_a_trace_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tracing.VARIABLE, raising=False)
    tracing.go_on("")
    assert tracing.VARIABLE not in os.environ
