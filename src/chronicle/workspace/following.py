"""Following a workspace: pushed by the process that holds it, else by looking at the database now and then."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from chronicle.control.client import Client, Following, NobodyThereError
from chronicle.control.messages import PUSHED_AT_ONCE
from chronicle.model.iterations import Iteration
from chronicle.store.history import History

POLL_SECONDS: Final = 0.1
"""How often the database is looked at while nobody holds the workspace (writers without a mount come and go)."""

_RETRY_SECONDS: Final = 0.5
"""How often a holder is looked for while there is none."""


class Watch:
    """Iterations in order, each once. Iterate over it (it waits for more, for ever), or call `wait`. One thread reads, any may close."""

    def __init__(self, history: History, holder: Callable[[], Client], after: int) -> None:
        self._history = history
        self._holder = holder
        self._after = after
        self._following: Following | None = None
        self._next_try = 0.0
        self._closed = threading.Event()
        self._ready: list[Iteration] = []

    @property
    def position(self) -> int:
        """The number of the last iteration given out by `wait`, or where it began."""
        return self._after

    def wait(self, timeout: float) -> list[Iteration]:
        """The next iterations, all that are there; [] when none came within `timeout` seconds, or it was closed."""
        end = time.monotonic() + timeout
        while not self._closed.is_set():
            rest = end - time.monotonic()
            found = self._pushed(max(rest, 0.0)) if self._reached() else self._polled(max(min(rest, POLL_SECONDS), 0.0))
            if found:
                self._after = found[-1].iteration
                return found
            if rest <= 0:
                break
        return []

    def _reached(self) -> bool:
        if self._following is None and time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + _RETRY_SECONDS
            try:
                self._following = self._holder().follow(self._after)
            except (NobodyThereError, OSError):
                return False
        return self._following is not None

    def _pushed(self, seconds: float) -> list[Iteration]:
        assert self._following is not None
        found = self._following.wait(seconds)
        if found is None:
            self._following.close()
            self._following = None
        return found or []

    def _polled(self, seconds: float) -> list[Iteration]:
        found = self._history.log(after=self._after, limit=PUSHED_AT_ONCE)
        if not found:
            self._closed.wait(seconds)
        return found

    def close(self) -> None:
        """Ends it; who waits gets what there is, then the iteration stops. Idempotent, from any thread."""
        self._closed.set()
        if self._following is not None:
            self._following.shut()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Iteration:
        while not self._ready:
            if self._closed.is_set():
                raise StopIteration
            self._ready = self.wait(60.0)[::-1]
        return self._ready.pop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._following is not None:
            self._following.close()
            self._following = None
