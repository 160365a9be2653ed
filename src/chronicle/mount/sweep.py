"""Looks at files that stay open, and for a while at closed ones: what was written without a close or fsync becomes a version too."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from chronicle.mount.nodes import Node, NodeTable
from chronicle.mount.notes import Notes
from chronicle.mount.options import MountOptions

_log = logging.getLogger(__name__)

AFTER_CLOSE_SECONDS: Final = (0.5, 1.5, 5.0)
"""With passthrough a mapping outlives the close unseen: so long after it the file is looked at again. Later stores are noticed at
the next opening for writing."""

_REMEMBERED: Final = 4096
"""Closed files looked at; a burst of more pushes out the oldest."""


class Sweep:
    """A thread that looks each `sweep_seconds` while a file is open for writing or was closed a moment ago; else it sleeps without
    a wake-up. `changed_unseen` is told of files that were written after their close: the kernel's attributes are old."""

    def __init__(
        self,
        lock: threading.Lock,
        table: NodeTable,
        notes: Notes,
        options: MountOptions,
        root_fd: int,
    ) -> None:
        self._lock = lock
        self._table = table
        self._notes = notes
        self._seconds = options.sweep_seconds
        self._quiet_ns = int(options.quiet_seconds * 1e9)
        self._root_fd = root_fd
        self._closed = tuple(deque[tuple[float, Node]](maxlen=_REMEMBERED) for _ in AFTER_CLOSE_SECONDS)
        self._inherited: set[Node] = set()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.changed_unseen: Callable[[Node], None] = lambda _: None
        self.looked_at: Callable[[Node], None] = lambda _: None

    def writing_began(self) -> None:
        """A file was opened for writing. Called under the lock."""
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="chronicle-sweep", daemon=True)
                self._thread.start()

    def closed(self, node: Node) -> None:
        """A file's last writer closed it. Called under the lock."""
        self._closed[0].append((time.monotonic() + AFTER_CLOSE_SECONDS[0], node))
        self.writing_began()

    def watch(self, nodes: list[Node]) -> None:
        """Files that an earlier process opened and the kernel writes: they are looked at until they are closed."""
        if nodes:
            self._inherited.update(nodes)
            self.writing_began()

    def stop(self) -> None:
        """Ends the thread."""
        self._ending.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._ending.wait(self._seconds):
                return
            try:
                self.sweep()
            except Exception:  # noqa: BLE001 - whatever it is, the next look may succeed, and closes are noted anyway
                _log.exception("open files could not be looked at")

    def sweep(self) -> None:
        """Looks once, at one file at a time, so that no request waits long."""
        with self._lock:
            writing = list(self._table.writing)
            self._inherited = {node for node in self._inherited if node.backing_uses}
            closed = [*self._due(), *self._inherited]
        for node in writing:
            try:
                with self._lock:
                    self._notes.looked_at(node, quiet_ns=self._quiet_ns)
                    self.looked_at(node)
            except OSError:  # the others are looked at all the same
                _log.exception("an open file could not be looked at")
        for node in closed:
            with self._lock:
                written = self._notes.after_close(node, self._root_fd)
            if written:
                self.changed_unseen(node)
        with self._lock:
            watched = self._table.writing or any(self._closed) or self._inherited
            if not watched and not self._ending.is_set():
                self._wake.clear()

    def _due(self) -> list[Node]:
        """Closed files to be looked at now; each waits for its next look, if it has one."""
        now = time.monotonic()
        found = []
        for stage, waiting in reversed(list(enumerate(self._closed))):
            while waiting and waiting[0][0] <= now:
                due, node = waiting.popleft()
                found.append(node)
                if stage + 1 < len(self._closed):
                    pause = AFTER_CLOSE_SECONDS[stage + 1] - AFTER_CLOSE_SECONDS[stage]
                    self._closed[stage + 1].append((due + pause, node))
        return found
