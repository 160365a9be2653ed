"""Traces of what the daemons do, and metrics, for a collector that speaks OTLP. Without one, trace contexts are passed on and
nothing else happens.

    telemetry = open_telemetry(settings, "gateway")      # once, at the start; `await telemetry.close()` at the end
    with span("what is done", attributes={…}): …         # a span around a block; what is called inside is below it
    headers |= carried()                                 # what a request to somebody else carries, so that it goes on there
"""

from podium.base.telemetry.context import HEADER, VARIABLE, accepted, carried, current, trace_id_of, valid
from podium.base.telemetry.running import Telemetry, open_telemetry
from podium.base.telemetry.settings import TelemetrySettings
from podium.base.telemetry.spans import Span, begin, span, under

__all__ = [
    "HEADER", "VARIABLE", "accepted", "carried", "current", "trace_id_of", "valid",
    "Span", "begin", "span", "under",
    "Telemetry", "TelemetrySettings", "open_telemetry",
]  # fmt: skip
