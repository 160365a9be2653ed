"""The trace a call belongs to: that of the daemon it is made in, or the program's own where it uses OpenTelemetry.

Neither is loaded for it: a program that has not loaded them is under no trace.
"""

import sys


def traceparent() -> str:
    """The W3C trace context of the running code; empty when there is none."""
    daemon = sys.modules.get("podium.base.telemetry.context")
    if daemon is not None and (current := daemon.current.get()):
        return str(current)
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return ""
    span = opentelemetry.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}" if span.is_valid else ""


def carried() -> dict[str, str]:
    """The header that continues the current trace; nothing when there is none."""
    current = traceparent()
    return {"traceparent": current} if current else {}
