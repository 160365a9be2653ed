"""What can be configured of telemetry: the variables of OpenTelemetry, as far as they are heeded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from podium.base.config import Secret, boolean, endpoint, one_of, positive, setting

SAMPLERS: Final = (
    "parentbased_always_on",
    "parentbased_traceidratio",
    "parentbased_always_off",
    "always_on",
    "traceidratio",
    "always_off",
)


def ratio(text: str) -> float:
    """A share, from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text[:20]!r} is no share; write a number from 0 to 1")
    return share


def pairs(text: str) -> dict[str, str]:
    """`name=value,name=value`, values percent-encoded (W3C baggage, as OpenTelemetry has it)."""
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError("is no list of name=value, separated by commas")
        found[name.strip()] = unquote(value.strip())
    return found


def secret_pairs(text: str) -> Secret:
    """The same, and not to be printed."""
    pairs(text)
    return Secret(text)


@dataclass(frozen=True)
class TelemetrySettings:
    """Where traces and metrics go. Names and units are those of OpenTelemetry, so that one environment suits everything."""

    otlp_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        endpoint,
        None,
        "collector of traces and metrics, `http://host:4318`; default: none, and `/metrics` alone",
    )
    otlp_headers: Secret | None = setting(
        "OTEL_EXPORTER_OTLP_HEADERS", secret_pairs, None, "headers for the collector, `name=value,name=value`"
    )
    otlp_protocol: str = setting(
        "OTEL_EXPORTER_OTLP_PROTOCOL", one_of("http/protobuf"), "http/protobuf", "how it is spoken to; gRPC is not"
    )
    otel_disabled: bool = setting(
        "OTEL_SDK_DISABLED",
        boolean,
        "false",
        "true: nothing is sent, whatever the endpoint; trace contexts are passed on",
    )
    otel_service: str | None = setting(
        "OTEL_SERVICE_NAME", str, None, "name in traces; default: `podium-` and the daemon's name"
    )
    otel_resource: Mapping[str, str] | None = setting(
        "OTEL_RESOURCE_ATTRIBUTES", pairs, None, "more facts for each trace and metric, `name=value,name=value`"
    )
    otel_sampler: str = setting(
        "OTEL_TRACES_SAMPLER",
        one_of(*SAMPLERS),
        "parentbased_always_on",
        "which traces are recorded; `parentbased_…`: a client's own decision counts",
    )
    otel_share: float = setting(
        "OTEL_TRACES_SAMPLER_ARG",
        ratio,
        "1.0",
        "share of traces the samplers named `…traceidratio` record, from 0 to 1",
    )
    otel_span_delay_ms: int = setting(
        "OTEL_BSP_SCHEDULE_DELAY", positive, "5000", "spans are collected for so many milliseconds before they are sent"
    )
    otel_metrics_ms: int = setting(
        "OTEL_METRIC_EXPORT_INTERVAL", positive, "60000", "milliseconds between two sendings of metrics"
    )
