"""Which trace the running code belongs to: the W3C trace context (https://www.w3.org/TR/trace-context/) as a text.

What is current here is the `traceparent` that whatever is called next should get. Tasks inherit it from whoever starts them.
"""

import contextvars
import re
from collections.abc import Mapping
from typing import Final

HEADER: Final = "traceparent"
"""Name of the header, and of the field in frames."""

VARIABLE: Final = "TRACEPARENT"
"""Name of the environment variable (OpenTelemetry: environment variables as carriers)."""

_FORM: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

current: contextvars.ContextVar[str] = contextvars.ContextVar("traceparent", default="")
"""The trace context of the running code; empty: it belongs to no trace."""


def valid(text: str | None) -> str:
    """`text` when it is a trace context of version 00, else empty: a malformed one counts as none (W3C §4.3)."""
    return text if text is not None and _FORM.fullmatch(text) else ""


def accepted(headers: Mapping[str, str]) -> str:
    """The trace context of a request; empty when it has none. `headers` are by lower-case name."""
    return valid(headers.get(HEADER))


def carried() -> dict[str, str]:
    """The header that continues the current trace; nothing when there is none."""
    traceparent = current.get()
    return {HEADER: traceparent} if traceparent else {}


def trace_id_of(traceparent: str) -> str:
    """The trace's id, 32 hex digits; empty for an empty context."""
    return traceparent[3:35]
