"""Traces and metrics by OTLP over HTTP. The only module that imports OpenTelemetry, and itself imported only when it is configured.

Spans are encoded and sent by a thread of the SDK's, in batches; when the collector is away they are kept up to a limit and
then dropped. Nothing here ever waits for it on the event loop.
"""

import threading
import time
from collections.abc import Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SdkMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from podium.base.metric_names import HISTOGRAM_BOUNDS, METRICS
from podium.base.metrics import Sample
from podium.base.telemetry.settings import TelemetrySettings, pairs
from podium.base.telemetry.spans import Attributes, Kind, Span

SEND_SECONDS: Final = 10.0
"""How long the collector may take to answer, retries included."""

CLOSE_SECONDS: Final = 3.0
"""How long the last spans may take at the end."""

QUEUE_MAX_SPANS: Final = 8192
"""Spans kept while the collector is slow; beyond it new ones are dropped."""

BATCH_MAX_SPANS: Final = 512
"""Spans sent at once."""

SCOPE: Final = "podium"

_KINDS: Final[dict[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}


class OtlpExporter:
    """A connection to a collector: a recorder of spans, and a sender of metrics."""

    def __init__(self, settings: TelemetrySettings, resource: Mapping[str, str]) -> None:
        assert settings.otlp_endpoint is not None, "asked for only when there is one"
        headers = pairs(settings.otlp_headers.reveal()) if settings.otlp_headers else {}
        base = settings.otlp_endpoint
        self._resource = Resource.create({**resource, **(settings.otel_resource or {})})
        self._provider = TracerProvider(sampler=_sampler(settings), resource=self._resource, shutdown_on_exit=False)
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", headers=headers, timeout=SEND_SECONDS)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._spans,
                max_queue_size=QUEUE_MAX_SPANS,
                schedule_delay_millis=settings.otel_span_delay_ms,
                max_export_batch_size=BATCH_MAX_SPANS,
            )
        )
        self._tracer = self._provider.get_tracer(SCOPE)
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", headers=headers, timeout=SEND_SECONDS)
        self._started_ns = time.time_ns()

    def begin(self, name: str, parent: str, kind: Kind, attributes: Attributes) -> Span:
        """See `Recorder`."""
        return _Recorded(
            self._tracer.start_span(name, _context(parent), _KINDS[kind], attributes, record_exception=False)
        )

    def send_metrics(self, samples: list[Sample]) -> None:
        """Sends what was counted; blocks, at most `SEND_SECONDS`."""
        now = time.time_ns()
        metrics = [_metric(short, samples, self._started_ns, now) for short in sorted({each.name for each in samples})]
        scope = ScopeMetrics(InstrumentationScope(SCOPE), metrics, "")
        self._metrics.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]), SEND_SECONDS * 1000)

    def close(self) -> None:
        """Sends what there is, and ends the thread; blocks, little longer than `CLOSE_SECONDS` when the collector is away."""
        impatience = threading.Timer(CLOSE_SECONDS, self._spans.shutdown)
        impatience.start()
        self._provider.shutdown()
        impatience.cancel()
        impatience.join()
        self._metrics.shutdown()


class _Recorded(Span):
    """A span of the SDK's."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        context = span.get_span_context()
        super().__init__(f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}")
        self._span = span

    @property
    def recorded(self) -> bool:
        return self._span.is_recording()

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def event(self, name: str, attributes: Attributes = {}) -> None:  # noqa: B006 - it is not changed
        self._span.add_event(name, dict(attributes))

    def fail(self, reason: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()


def _context(parent: str) -> Context:
    if not parent:
        return Context()
    flags = TraceFlags(int(parent[53:], 16))
    above = SpanContext(int(parent[3:35], 16), int(parent[36:52], 16), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(above), Context())


def _sampler(settings: TelemetrySettings) -> sampling.Sampler:
    root = settings.otel_sampler.removeprefix("parentbased_")
    roots: dict[str, sampling.Sampler] = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(settings.otel_share),
    }
    return roots[root] if root == settings.otel_sampler else sampling.ParentBased(roots[root])


def _metric(short: str, samples: list[Sample], started_ns: int, now_ns: int) -> SdkMetric:
    """One metric with all its samples. Everything has been counted since the start (cumulative)."""
    known = METRICS[short]
    own = [sample for sample in samples if sample.name == short]
    data: Sum | Gauge | Histogram
    if known.kind == "histogram":
        points = [
            HistogramDataPoint(
                dict(sample.labels), started_ns, now_ns, sum(sample.buckets), sample.value, sample.buckets,
                HISTOGRAM_BOUNDS, min=None, max=None,  # type: ignore[arg-type] # optional in OTLP; we don't keep them
            )
            for sample in own
        ]  # fmt: skip
        data = Histogram(points, AggregationTemporality.CUMULATIVE)
    else:
        numbers = [NumberDataPoint(dict(sample.labels), started_ns, now_ns, sample.value) for sample in own]
        data = Gauge(numbers) if known.kind == "gauge" else Sum(numbers, AggregationTemporality.CUMULATIVE, True)
    return SdkMetric(known.name, known.meaning, known.unit, data)
