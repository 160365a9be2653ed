"""What is sent to a collector, and what happens when it is away."""

import logging
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from podium.base import telemetry
from podium.base.config import read
from podium.base.metrics import Metrics
from podium.base.telemetry import TelemetrySettings, otlp
from podium.base.telemetry.spans import record_with
from tests.waiting import free_port

GIVEN = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-{}"


class Kept:
    """Takes the place of the connection: keeps what would be sent."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def __call__(self, *_: Any, **__: Any) -> "Kept":
        return self

    def export(self, spans: list[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to end."""


def spans_of(monkeypatch: pytest.MonkeyPatch, sampler: str, parents: list[str]) -> list[str]:
    """The names of the spans that are sent when one is begun below each of `parents`."""
    kept = Kept()
    monkeypatch.setattr(otlp, "OTLPSpanExporter", kept)
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_TRACES_SAMPLER": sampler,
        "OTEL_TRACES_SAMPLER_ARG": "0",
    }
    exporter = otlp.OtlpExporter(read(TelemetrySettings, given), {"service.name": "x"})
    record_with(exporter)
    try:
        for number, parent in enumerate(parents):
            with telemetry.span(f"span {number}", parent=parent) as span:
                if parent:
                    assert telemetry.trace_id_of(span.traceparent) == telemetry.trace_id_of(parent)
                    assert span.traceparent != parent
    finally:
        record_with(None)
        exporter.close()
    return sorted(span.name for span in kept.spans)


@pytest.mark.parametrize(
    ("sampler", "sent"),
    [
        ("parentbased_always_on", ["span 0", "span 1"]),
        ("parentbased_traceidratio", ["span 1"]),
        ("always_on", ["span 0", "span 1", "span 2"]),
        ("always_off", []),
    ],
)
def test_a_clients_decision_counts_where_the_sampler_says_so(
    monkeypatch: pytest.MonkeyPatch, sampler: str, sent: list[str]
) -> None:
    assert spans_of(monkeypatch, sampler, ["", GIVEN.format("01"), GIVEN.format("00")]) == sent


@pytest.mark.noisy(".*")  # the SDK tells that the collector is away, in several ways
@pytest.mark.proves("TRACE-PASSED-ON")
async def test_the_end_waits_only_so_long_for_a_collector_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(otlp, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(otlp, "SEND_SECONDS", 0.5)
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    opened = telemetry.open_telemetry(read(TelemetrySettings, given), "test")
    opened.follow(Metrics())
    with telemetry.span("a", parent="") as span:
        assert span.recorded
    await opened.close()
    assert not telemetry.begin("b", parent="").recorded


async def test_a_collector_that_is_switched_off_is_not_told_anything() -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    opened = telemetry.open_telemetry(read(TelemetrySettings, given), "test")
    assert not telemetry.begin("a", parent="").recorded
    await opened.close()


def test_without_a_collector_nothing_of_opentelemetry_is_loaded() -> None:
    code = "import sys, podium.gateway.app, podium.coordinator.app, diminuendo.app, podium.agent\nprint('opentelemetry' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout == "False\n"
