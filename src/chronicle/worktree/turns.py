"""One at a time for the same thing, all at once for different things."""

import contextlib
import threading
from collections.abc import Hashable, Iterator


class Turns:
    """Locks by key that exist only while someone holds or awaits them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, tuple[threading.Lock, list[None]]] = {}

    @contextlib.contextmanager
    def of(self, key: Hashable) -> Iterator[None]:
        """Waits until nobody else is in the block of this key."""
        with self._lock:
            turn, waiting = self._turns.setdefault(key, (threading.Lock(), []))
            waiting.append(None)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                waiting.pop()
                if not waiting:
                    del self._turns[key]

    def __len__(self) -> int:
        return len(self._turns)
