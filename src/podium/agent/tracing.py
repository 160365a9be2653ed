"""The trace of a turn, handed on to whatever the author uses: the programs it starts, and OpenTelemetry."""

import os
import sys
from importlib import import_module
from typing import Final

VARIABLE: Final = "TRACEPARENT"
"""The environment variable programs find the trace context in."""


def go_on(traceparent: str) -> None:
    """What the current task does from now on belongs to this trace; nothing changes when it is empty.

    OpenTelemetry is not loaded for it: an author who uses it has. A process runs one turn at a time, so that the variable is the
    turn's.
    """
    if not traceparent:
        return
    os.environ[VARIABLE] = traceparent
    context = sys.modules.get("opentelemetry.context")
    if context is not None and "opentelemetry.trace" in sys.modules:
        propagator = import_module("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()
        context.attach(propagator.extract({"traceparent": traceparent}))
