"""Bringing objects to the remote tier in the background, in the order in which they came."""

import fcntl
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from chronicle.model.errors import DamagedError, StorageError
from chronicle.store.pool.bodies import open_body
from chronicle.store.pool.catalogue import UNSENDABLE, UPLOADED, WAITING, translated
from chronicle.store.pool.pool import Pool
from chronicle.store.pool.remote import Remote

AT_ONCE: Final = 8
"""Objects under way at the same time: hides the latency of a distant bucket, holds at most as many bodies in memory."""

ROUND: Final = 64
"""Objects taken from the queue at once; what a round brought there is noted in one transaction."""

POLL_S: Final = 0.25
"""How soon, in seconds, the objects that other processes stored are noticed, and the end of another process that uploads."""

DRAIN_POLL_S: Final = 0.02
"""How often `drain` looks, in seconds, when another process uploads."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
"""Pauses, in seconds, while the remote tier is away: the first, doubled after each failure, and the longest."""

LOCK: Final = "uploading.lock"

_log = logging.getLogger(__name__)


class Lag(NamedTuple):
    """What isn't in the remote tier yet: how many `objects`, `bytes` of bodies, and for how many seconds the oldest waits."""

    objects: int
    bytes: int
    oldest_s: float


class Uploader:
    """A thread that brings the pool's objects to its remote tier. The queue is the database: nothing is forgotten by a crash.

    Of the processes that use one pool, one uploads at a time; another takes over when it ends.
    """

    def __init__(self, pool: Pool) -> None:
        if pool.remote is None:
            raise ValueError("the pool has no remote tier")
        self._pool = pool
        self._remote: Remote = pool.remote
        self._stopping = threading.Event()
        self._wanted = threading.Event()  # there is something to do, perhaps
        self._urgent = threading.Event()  # even in a pause
        self._progress = threading.Condition()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """Why the last round failed; None when it didn't."""
        return self._failure

    def start(self) -> None:
        """Starts the thread, once."""
        self._pool.when_stored(self._wanted.set)
        self._thread = threading.Thread(target=self._run, name="chronicle-upload", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 60.0) -> None:
        """Ends after what is under way, which takes no longer than the remote tier's own limits.

        Raises:
            TimeoutError: it took longer.
        """
        self._stopping.set()
        self._wanted.set()
        self._urgent.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError(f"uploading did not end within {timeout} s")

    def lag(self) -> Lag:
        """What waits now."""
        with self._pool.catalogue.reading() as connection:
            row = connection.execute(
                "SELECT count(*), coalesce(sum(stored), 0), min(created_at) FROM object WHERE uploaded = ?", (WAITING,)
            ).fetchone()
        count, size, oldest = row
        return Lag(count, size, 0.0 if oldest is None else max(0.0, self._pool.clock() - oldest / 1000))

    def drain(self, timeout: float) -> None:
        """Returns when everything that was committed before is in the remote tier; damaged objects aren't waited for.

        Raises:
            TimeoutError: it isn't after so many seconds; the message has the reason when there is one.
        """
        with self._pool.catalogue.reading() as connection:
            (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM object").fetchone()
        end = time.monotonic() + timeout
        self._wanted.set()
        self._urgent.set()
        while self._waits(last):
            left = end - time.monotonic()
            if left <= 0:
                reason = f" ({self._failure})" if self._failure is not None else ""
                raise TimeoutError(f"{self.lag().objects} objects are not in the remote tier after {timeout} s{reason}")
            with self._progress:
                self._progress.wait(min(left, DRAIN_POLL_S))

    def _waits(self, last: int) -> bool:
        """Whether anything up to this id is not in the remote tier."""
        query = "SELECT EXISTS (SELECT 1 FROM object WHERE uploaded = ? AND id <= ?)"
        with self._pool.catalogue.reading() as connection:
            return bool(connection.execute(query, (WAITING, last)).fetchone()[0])

    def _run(self) -> None:
        fd = os.open(self._pool.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="chronicle-upload") as executor:
                while not self._stopping.is_set():
                    if not _locked(fd):
                        self._stopping.wait(POLL_S)
                        continue
                    self._work(executor)
        except BaseException as error:  # a mistake of ours ends the thread; who waits is told why
            self._failure = error
            raise
        finally:
            os.close(fd)

    def _work(self, executor: ThreadPoolExecutor) -> None:
        """Rounds until the thread is to end."""
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            self._wanted.clear()
            self._urgent.clear()
            try:
                sent = self._round(executor)
            except (StorageError, DamagedError) as error:
                if self._failure is None:
                    _log.warning("objects can't be brought to the remote tier, trying again: %s", error)
                self._failure = error
                if not self._stopping.is_set():
                    self._urgent.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            if self._failure is not None:
                _log.info("the remote tier is back")
            self._failure = None
            pause = FIRST_PAUSE_S
            if not sent:
                self._wanted.wait(POLL_S)

    def _round(self, executor: ThreadPoolExecutor) -> bool:
        """Brings the oldest objects there; whether there were any. Raises after noting what arrived."""
        with self._pool.catalogue.reading() as connection:
            rows = connection.execute(
                "SELECT id, digest, manifest FROM object WHERE uploaded = ? ORDER BY id LIMIT ?", (WAITING, ROUND)
            ).fetchall()
        # Manifests after the chunks they name: who finds one there finds those, too.
        for manifests in (0, 1):
            part = [(number, digest) for number, digest, manifest in rows if manifest == manifests]
            self._send_all(executor, part)
        return bool(rows)

    def _send_all(self, executor: ThreadPoolExecutor, part: list[tuple[int, bytes]]) -> None:
        sending = [(number, digest, executor.submit(self._send, digest)) for number, digest in part]
        noted, failed = [], None
        for number, digest, future in sending:
            try:
                noted.append((future.result(), number, digest))
            except StorageError as error:
                failed = error
        if noted:
            with self._pool.catalogue.transaction() as writer:
                writer.executemany("UPDATE object SET uploaded = ? WHERE id = ? AND digest = ?", noted)
            with self._progress:
                self._progress.notify_all()
        if failed is not None:
            raise failed

    def _send(self, digest: bytes) -> int:
        """Brings one object there; returns what is to be noted about it."""
        try:
            body = self._pool.body(digest)
            if body is None:  # swept
                return UPLOADED
            open_body(digest, body)  # the other tier is for healing this one: it gets nothing damaged
        except DamagedError as damage:
            _log.warning("not brought to the remote tier: %s", damage)
            return UNSENDABLE
        self._remote.put_if_absent(digest, body)
        return UPLOADED


def _locked(fd: int) -> bool:
    try:
        with translated("locking"):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except StorageError:
        return False
    return True
