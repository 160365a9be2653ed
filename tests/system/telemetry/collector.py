"""A collector in the test: takes OTLP over HTTP, as protobuf and as JSON, and keeps what came."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """One span as it was sent. Ids are hex; `parent` is empty for the first of a trace."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]
    events: list[str]


@dataclass
class Collector:
    """What came, by its kind."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    metrics: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(service, name of the metric) → the newest of it."""
    headers: list[dict[str, str]] = field(default_factory=list)

    def of_trace(self, trace: str) -> list[Seen]:
        """The spans of a trace."""
        return [span for span in list(self.spans) if span.trace == trace]

    def one(self, trace: str, name: str) -> Seen:
        """The one span of a trace with this name."""
        (found,) = [span for span in self.of_trace(trace) if span.name == name]
        return found

    def take_traces(self, body: bytes, *, as_json: bool) -> None:
        """A request with spans."""
        if as_json:
            for sent in json.loads(body)["resourceSpans"]:
                service = sent["resource"]["attributes"][0]["value"]["stringValue"]
                for span in sent["scopeSpans"][0]["spans"]:
                    self.spans.append(
                        Seen(
                            service, span["name"], span["traceId"], span["spanId"], span["parentSpanId"], False, {}, []
                        )
                    )
            return
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Seen(
                            service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                            span.status.code == 2, _attributes(span.attributes), [event.name for event in span.events],
                        )
                    )  # fmt: skip

    def take_metrics(self, body: bytes) -> None:
        """A request with metrics."""
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics[service, metric.name] = metric


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens while the block runs. It closes each connection, so that nothing of it stays."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.headers.append(dict(self.headers.items()))
            if self.path == "/v1/metrics":
                collector.take_metrics(body)
            else:
                collector.take_traces(body, as_json=self.headers["content-type"] == "application/json")
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="collector")
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _attributes(sent: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in sent}
