"""Threads of the workspaces' own: bounded in number, shared fairly, and nobody waits for one longer than is said.

A call of Chronicle's library blocks: for a disk, for another process. It can't be cut short from outside. So who asked is told
after a while that there is no answer now, and the thread goes on with what it does until that ends by itself; meanwhile it counts,
against the workspace that holds it up and against all. Threads are daemons: one that never ends keeps no process from ending.
"""

import asyncio
import contextlib
import logging
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from podium.coordinator.adapters.workspaces.failures import unavailable
from podium.wire.errors import PodiumError

THREADS: Final = 32
"""Calls at the same time. A thread is started when it is needed: usually there are two or three."""

EACH: Final = 4
"""Calls at the same time for one workspace, besides one that changes it as a whole: others are held up only when seven hang."""

IDLE_SECONDS: Final = 10.0
"""How long a thread with nothing to do stays for the next call."""

CLOSE_SECONDS: Final = 10.0
"""How long closing waits for calls that are being carried out."""

_PAUSE_SECONDS: Final = 0.01

_log = logging.getLogger(__name__)

T = TypeVar("T")
L = TypeVar("L")


class _Job(NamedTuple):
    whose: str
    alone: bool
    what: Callable[[], Any]
    future: "Future[Any]"


class Workers:
    """A bounded number of threads. `run` and `pieces` are called on the event loop."""

    def __init__(self, threads: int = THREADS, each: int = EACH) -> None:
        self._most = threads
        self._each = each
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._running: Counter[str] = Counter()
        self._alone: set[str] = set()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closed = False

    async def run(self, whose: str, what: Callable[[], T], *, seconds: float, alone: bool = False) -> T:
        """The result of `what` in a thread, of which `whose` may hold `each` at a time.

        Once begun it is done to its end, whatever becomes of the caller. Who is cancelled waits for that, up to `seconds` in all.

        Args:
            whose: the workspace it is about.
            what: the call.
            seconds: how long to wait, until it begins and until it is done.
            alone: no other call with `alone` is carried out for `whose` meanwhile, not even one whose caller was told
                `workspace_unavailable`. It counts against nobody's share.

        Raises:
            PodiumError: `workspace_unavailable`: not within `seconds`. What had not begun by then is never done.
        """
        future = self._begin(_Job(whose, alone, partial(copy_context().run, what), Future()))
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        waiting: asyncio.Future[T] = asyncio.wrap_future(future)
        try:
            await asyncio.wait({waiting}, timeout=seconds)
        except asyncio.CancelledError:
            if not future.cancel():
                await asyncio.wait({waiting}, timeout=max(0.0, end - loop.time()))
            _forget(waiting)
            raise
        if waiting.cancelled():
            raise _going_down()
        if waiting.done():
            return waiting.result()
        _forget(waiting)
        _log.warning(
            "workspace_call_late", extra={"workspace": whose, "seconds": seconds, "begun": not future.cancelled()}
        )
        raise unavailable(f"the workspace did not answer within {seconds:g} s")

    async def pieces(
        self, whose: str, loan: AbstractContextManager[L], what: Callable[[L], Iterator[bytes]], *, seconds: float
    ) -> AsyncIterator[bytes]:
        """What `what` makes of the loan, piece by piece, each within `seconds`; empty ones are left out.

        The loan is given back at the end, or when this is closed; while a piece is still being made, by the thread that makes it.

        Raises:
            PodiumError: `workspace_unavailable`: a piece took longer.
        """
        held = _Held(loan, what)
        try:
            while (piece := await self.run(whose, held.next_piece, seconds=seconds)) is not None:
                if piece:
                    yield piece
        finally:
            if held.leave():
                await self._finally(whose, held.give_back, seconds)

    async def _finally(self, whose: str, what: Callable[[], None], seconds: float) -> None:
        """As `run`, but it is done however late, unless all is closed meanwhile; that it is late, or fails, is nobody's concern."""
        with contextlib.suppress(PodiumError):
            future = self._begin(_Job(whose, alone=False, what=what, future=Future()))
            waiting = asyncio.wrap_future(future)
            await asyncio.wait({waiting}, timeout=seconds)
            if waiting.done() and not waiting.cancelled() and (error := waiting.exception()) is not None:
                _log.warning("workspace_not_given_back", extra={"workspace": whose, "error": str(error)})

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Nothing is begun any more; waits for what is being done, at most so long. Idempotent."""
        with self._changed:
            self._closed = True
            dropped = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for job in dropped:
            job.future.cancel()
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._threads and loop.time() < end:
            await asyncio.sleep(_PAUSE_SECONDS)
        if self._threads:
            _log.error("workspace_calls_left", extra={"count": len(self._threads)})

    # ── threads ─────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, job: _Job) -> "Future[Any]":
        with self._changed:
            if self._closed:
                raise _going_down()
            self._waiting.append(job)
            if len(self._waiting) > self._idle and len(self._threads) < self._most:
                thread = threading.Thread(target=self._serve, name="workspaces", daemon=True)
                self._threads.add(thread)
                thread.start()
            else:
                self._changed.notify()
        return job.future

    def _serve(self) -> None:
        me = threading.current_thread()
        while (job := self._wait_for_one(me)) is not None:
            if job.future.set_running_or_notify_cancel():
                try:
                    result = job.what()
                except BaseException as error:  # noqa: BLE001 - who asked is told
                    job.future.set_exception(error)
                else:
                    job.future.set_result(result)
                    del result
            with self._changed:
                self._account(job, -1)
            del job

    def _wait_for_one(self, me: threading.Thread) -> _Job | None:
        """The next call that may be done now; None: this thread is not needed any more."""
        with self._changed:
            while (job := self._take()) is None:
                if self._closed:
                    break
                self._idle += 1
                woken = self._changed.wait(IDLE_SECONDS)
                self._idle -= 1
                if not woken and not self._waiting:
                    break
            if job is None:
                self._threads.discard(me)
            return job

    def _take(self) -> _Job | None:
        for number, job in enumerate(self._waiting):
            if job.whose not in self._alone if job.alone else self._running[job.whose] < self._each:
                del self._waiting[number]
                self._account(job, 1)
                return job
        return None

    def _account(self, job: _Job, change: int) -> None:
        if job.alone:
            (self._alone.add if change > 0 else self._alone.discard)(job.whose)
            return
        self._running[job.whose] += change
        if not self._running[job.whose]:
            del self._running[job.whose]


class _Held(Generic[L]):
    """A loan, what is made of it, and who gives it back: who left last."""

    def __init__(self, loan: AbstractContextManager[L], what: Callable[[L], Iterator[bytes]]) -> None:
        self._loan = loan
        self._what = what
        self._source: Iterator[bytes] | None = None
        self._lock = threading.Lock()
        self._entered = False
        self._busy = False
        self._over = False

    def next_piece(self) -> bytes | None:
        """In a thread: the next piece; None at the end."""
        with self._lock:
            if self._over:
                return None
            self._busy = True
        try:
            if self._source is None:
                lent = self._loan.__enter__()
                self._entered = True
                self._source = self._what(lent)
            return next(self._source, None)
        finally:
            with self._lock:
                self._busy = False
                alone = self._over
            if alone:
                self.give_back()

    def leave(self) -> bool:
        """No more pieces are wanted. Whether there is something that the caller has to give back."""
        with self._lock:
            self._over = True
            return self._entered and not self._busy

    def give_back(self) -> None:
        """In a thread: gives it back."""
        close = getattr(self._source, "close", None)
        try:
            if close is not None:
                close()
        finally:
            if self._entered:
                self._entered = False
                self._loan.__exit__(None, None, None)


def _going_down() -> PodiumError:
    return unavailable("the host is going down")


def _forget(waiting: "asyncio.Future[Any]") -> None:
    """Nobody waits for it any more: what has not begun never begins, and how the rest ends is nobody's concern."""
    if not waiting.cancel() and not waiting.cancelled():
        waiting.exception()
