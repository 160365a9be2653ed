"""Circuit breaker: stops asking a service that keeps failing. A value and pure transitions.

```
 closed ──5 failures in a row──► open ──30 s──► half-open ──success──► closed
    ▲                              ▲                │
    └── success resets the count   └────failure─────┘     (half-open lets exactly one call through)
```
"""

from enum import StrEnum
from typing import Final

import msgspec

THRESHOLD: Final = 5
"""Consecutive failures that open the circuit."""

COOLDOWN_SECONDS: Final = 30.0
"""How long an open circuit refuses before it lets one call try."""


class Circuit(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(msgspec.Struct, frozen=True):
    """State of a circuit. `since` is the monotonic second at which it opened, or its one trial call began."""

    circuit: Circuit = Circuit.CLOSED
    failures: int = 0
    since: float = 0.0

    def remaining(self, now: float) -> float:
        """Seconds until a call may be tried; 0 when one may now."""
        if self.circuit is Circuit.CLOSED:
            return 0.0
        return max(0.0, self.since + COOLDOWN_SECONDS - now)

    def entered(self, now: float) -> "Breaker | None":
        """The state after a call was let through, None when it is refused.

        A trial call that never reports back (its task was killed) stops counting after another cooldown.
        """
        if self.remaining(now) > 0:
            return None
        if self.circuit is Circuit.CLOSED:
            return self
        return Breaker(Circuit.HALF_OPEN, self.failures, now)

    def succeeded(self) -> "Breaker":
        """The state after a call succeeded."""
        return Breaker()

    def failed(self, now: float) -> "Breaker":
        """The state after a call failed."""
        failures = self.failures + 1
        if self.circuit is Circuit.HALF_OPEN or failures >= THRESHOLD:
            return Breaker(Circuit.OPEN, failures, now)
        return Breaker(Circuit.CLOSED, failures)

    def abandoned(self, now: float) -> "Breaker":
        """The state after a call ended without telling anything (it was cancelled): the next trial may come at once."""
        if self.circuit is Circuit.HALF_OPEN:
            return Breaker(Circuit.OPEN, self.failures, now - COOLDOWN_SECONDS)
        return self
