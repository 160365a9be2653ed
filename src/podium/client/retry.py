"""Retry: which failures are worth another try, and how long to wait before it. Pure values."""

from typing import Final, NamedTuple

RETRY_AFTER_MAX_SECONDS: Final = 30.0
"""A server that asks for a longer pause is believed, and the call fails now."""


class RetryPolicy(NamedTuple):
    """Exponential back-off with full jitter: before retry n the wait is drawn from 0 to `first` · 2ⁿ⁻¹, at most `longest`.

    Seconds. `retries` counts the tries after the first.
    """

    first: float = 0.5
    longest: float = 4.0
    retries: int = 3

    def ceiling(self, retry: int) -> float:
        """Longest wait before the retry with this number (from 1): 0.5, 1, 2, 4, 4, …"""
        return float(min(self.longest, self.first * 2 ** min(retry - 1, 30)))

    def delay(self, retry: int, chance: float, retry_after: float | None = None) -> float | None:
        """Seconds to wait before retry number `retry` (from 1), None when it shall not be tried.

        `chance` in [0, 1) spreads clients; `retry_after` is what the server asked for and is the least that is waited.
        """
        if retry > self.retries or (retry_after or 0.0) > RETRY_AFTER_MAX_SECONDS:
            return None
        return max(self.ceiling(retry) * chance, retry_after or 0.0)


CALLS: Final = RetryPolicy()
"""Requests: 500 ms, 1 s, 2 s, (4 s); at most 3 retries."""

NEVER: Final = RetryPolicy(retries=0)
"""Requests that are tried once."""
