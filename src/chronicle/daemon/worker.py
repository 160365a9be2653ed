"""The worker: the process that serves one workspace, from fork to the end of its mount."""

import gc
import logging
import os
import resource
import signal
import socket
import threading
from typing import Final

from chronicle.control.failures import failure_of
from chronicle.daemon.fronts import Front, FuseFront, Order, WatchFront
from chronicle.daemon.hands import Hands
from chronicle.daemon.holding import Holder
from chronicle.daemon.lines import Ended, Failed, Leave, Ready, hear, tell
from chronicle.layout import Layout
from chronicle.model.errors import ChronicleError
from chronicle.page import Page
from chronicle.store.pool.uploading import Uploader
from chronicle.workspace.writer import Writer

_log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 1.0
"""How long a mount that others keep alive (open files, a copy in another mount namespace) is still served, for requests under way."""


RARELY: Final = (20_000, 20, 50)
"""How seldom Python looks for cycles: a node for each file the kernel knows lives long and is in none, and looking at all of them
again and again is time that requests wait."""


def work(order: Order, line: socket.socket) -> int:
    """Serves until told to leave, or until the mount is gone. Returns the exit code: 0 when it ended in order."""
    _raise_descriptor_limit()
    gc.set_threshold(*RARELY)
    try:
        worker = Worker(order, line)
    except (ChronicleError, OSError) as error:
        tell(line, Failed(failure_of(error)))
        return 1
    return worker.run()


def _raise_descriptor_limit() -> None:
    """Each file that is open in the mount costs a descriptor here, and so does each content that waits to be recorded."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Worker:
    """One workspace, served."""

    def __init__(self, order: Order, line: socket.socket) -> None:
        """Takes the workspace over and gets ready to serve it. Raises ChronicleError or OSError; nothing is left then."""
        self._line = line
        self._leaving = threading.Event()
        self._holder: Holder | None = None
        self._uploader: Uploader | None = None
        layout = Layout(order.workspace)
        self._writer = Writer.begin(layout, layout.read_settings(), on_recorded=self._recorded)
        self._page = Page.make(layout.page)
        try:
            self._hands = Hands(line)
            self._front: Front
            if order.backend == "watch":
                self._front = WatchFront(order, self._writer)
            else:
                self._front = FuseFront(order, self._writer, self._hands, self._page)
            if self._writer.pool.remote is not None:
                self._uploader = Uploader(self._writer.pool)
            self._holder = Holder(self._writer, self._front, order.mountpoint, self._uploader)
            self._front.attach(self._holder)
        except BaseException:
            self._writer.end()
            raise
        if self._uploader is not None:
            self._uploader.start()
        self._holder.server.look_at(line.fileno(), self._told)
        signal.signal(signal.SIGTERM, lambda _number, _frame: self.leave())

    def run(self) -> int:
        """Serves to the end."""
        assert self._holder is not None
        self._holder.start()
        tell(self._line, Ready())
        self._front.serve()
        return self._end()

    def leave(self) -> None:
        """Begins the end: everything is recorded, then the mount goes away, which ends `run`. Idempotent, from any thread."""
        if not self._leaving.is_set():
            self._leaving.set()
            threading.Thread(target=self._leave, name="chronicle-leave", daemon=True).start()

    def _leave(self) -> None:
        try:
            self._front.leave()
        except Exception:  # noqa: BLE001 - the supervisor sees to the mount when this process has ended
            _log.exception("the mount can't be left in order")
            os._exit(1)
        if not self._front.served.wait(DRAIN_SECONDS):
            self._front.lazy = self._front.lazy or "another mount namespace has a copy of the mount"
            os._exit(self._end())

    def _end(self) -> int:
        """Nothing comes any more: writes everything down and lets go."""
        assert self._holder is not None
        if self._page is not None:
            self._page.end()
        self._holder.stop()
        self._hands.close()
        if self._uploader is not None:
            self._uploader.stop()
        if self._front.lazy is not None:
            self._writer.compared = False  # whoever kept the mount in use may have written until this moment
        try:
            self._writer.end()
        except ChronicleError as error:
            _log.exception("not everything is recorded; the journal keeps it for the next start")
            tell(self._line, Ended(f"not everything is recorded, the next mount goes on: {error}"))
            return 0
        tell(self._line, Ended(self._front.lazy))
        return 0

    def _told(self) -> None:
        message, _ = hear(self._line)
        if message is None and self._holder is not None:
            self._holder.server.look_away(self._line.fileno())  # the supervisor is gone
        if message is None or isinstance(message, Leave):
            self.leave()

    def _recorded(self, _iterations: object) -> None:
        if self._holder is not None:
            self._holder.server.recorded()
