"""The limits of the protocol, as numbers and as values that count."""

from collections import deque
from typing import Final

PROTOCOL_VERSION: Final = 1
"""Told in `welcome`."""

MESSAGE_MAX_BYTES: Final = 1024 * 1024
"""Largest message either side sends."""

MESSAGES_MAX: Final = 60
"""Messages a connection may send …"""

MESSAGES_WINDOW_MS: Final = 10_000
"""… in this time."""

AUTHENTICATE_MS: Final = 10_000
"""How long a client has to authenticate."""

AUTHENTICATE_TRIES: Final = 3
"""Tokens a connection may try before it is closed."""

HEARTBEAT_MS: Final = 30_000
"""How often the server sends `heartbeat`."""

FAILURES_MAX: Final = 10
"""Failed tokens from one address …"""

FAILURES_WINDOW_MS: Final = 60_000
"""… in this time, after which it has to wait. Our choice: a person mistypes a few times, a guesser needs 2**100 tries."""

ADDRESSES_MAX: Final = 10_000
"""Addresses whose failures are remembered; beyond that the one that has been quiet longest is forgotten."""


class Window:
    """Counts what happened within the last `span_ms`: at most `most` things fit."""

    __slots__ = ("_moments", "_most", "_span_ms")

    def __init__(self, most: int, span_ms: int) -> None:
        self._most = most
        self._span_ms = span_ms
        self._moments: deque[int] = deque()

    def take(self, now_ms: int) -> bool:
        """Counts one more; False, and not counted, when it does not fit. `now_ms` is monotonic."""
        if self.wait_ms(now_ms):
            return False
        self._moments.append(now_ms)
        return True

    def wait_ms(self, now_ms: int) -> int:
        """Milliseconds until one more fits; 0: now."""
        while self._moments and self._moments[0] <= now_ms - self._span_ms:
            self._moments.popleft()
        return 0 if len(self._moments) < self._most else self._moments[0] + self._span_ms - now_ms


def message_window() -> Window:
    """What a connection may send."""
    return Window(MESSAGES_MAX, MESSAGES_WINDOW_MS)


class FailedTokens:
    """The failed tokens of every address. Times are monotonic milliseconds."""

    def __init__(self) -> None:
        self._windows: dict[str, Window] = {}

    def wait_ms(self, address: str, now_ms: int) -> int:
        """Milliseconds until the address may try again; 0: now."""
        window = self._windows.get(address)
        return 0 if window is None else window.wait_ms(now_ms)

    def failed(self, address: str, now_ms: int) -> None:
        """Counts a failure of the address."""
        window = self._windows.pop(address, None) or Window(FAILURES_MAX, FAILURES_WINDOW_MS)
        window.take(now_ms)
        self._windows[address] = window  # the youngest is last
        if len(self._windows) > ADDRESSES_MAX:
            del self._windows[next(iter(self._windows))]


PAGE_DEFAULT: Final = 100
"""Rows of a page when `limit` is not given."""

PAGE_MAX: Final = 1_000
"""Most rows of a page."""
