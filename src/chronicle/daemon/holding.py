"""What the process that serves a workspace answers on `control.sock`."""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from chronicle.control.messages import (
    Annotate,
    Barrier,
    Fork,
    GetStatus,
    HolderRequest,
    HolderStatus,
    MakeCheckpoint,
    Put,
    Remove,
    Restore,
    Restored,
)
from chronicle.control.server import Reply, Server
from chronicle.control.sockets import listen
from chronicle.daemon.fronts import Front
from chronicle.model.errors import InvalidInputError
from chronicle.model.iterations import Checkpoint
from chronicle.store.pool.uploading import Uploader
from chronicle.workspace import here
from chronicle.workspace.writer import Writer

_log = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 30.0
"""How long noting what open files hold, and recording it, may take before who asked is told so."""

DRAIN_SECONDS: Final = 300.0
"""How long bringing contents to the remote tier may take before who waits for that is told that it has not happened."""

_AT_ONCE: Final = 4
"""Requests that are worked on at the same time; threads are made when they are needed."""

_decoder: msgspec.json.Decoder[HolderRequest] = msgspec.json.Decoder(HolderRequest)


class Holder:
    """Answers for one workspace, in a thread of its own, from `start` to `stop`."""

    def __init__(self, writer: Writer, front: Front, mountpoint: Path, uploader: Uploader | None) -> None:
        self._writer = writer
        self._front = front
        self._mountpoint = mountpoint
        self._uploader = uploader
        self._changing = threading.Lock()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="chronicle-answer")
        self.server: Server[HolderRequest] = Server(
            listen(writer.layout.control), _decoder, self._handle, feed=writer.history
        )
        self._thread = threading.Thread(target=self.server.run, name="chronicle-control", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answers what is under way, then no more. The socket is gone afterwards."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._writer.layout.control.unlink(missing_ok=True)
        self.server.stop()
        self._thread.join(FLUSH_SECONDS)

    def _handle(self, request: HolderRequest, reply: Reply) -> None:
        match request:
            case GetStatus():
                reply.good(self._status())
            case Annotate(turn_id=turn_id):
                self._later(reply, lambda: self.annotate(turn_id))
            case Barrier(timeout=timeout, remote=remote):
                self._later(reply, lambda: self.replicated(timeout) if remote else self.barrier(timeout))
            case MakeCheckpoint(label=label, turn_id=turn_id):
                self._later(reply, lambda: self.checkpoint(label, turn_id))
            case Fork(into=into, at=at):
                self._later(reply, lambda: self.fork(Path(into), at))
            case Put() | Remove():
                self._later(reply, lambda: self.change(request))
            case Restore(iteration=iteration, path=path):
                self._later(reply, lambda: self.restore(iteration, path))
            case _:
                raise InvalidInputError("not a request for who holds a workspace")

    def _later(self, reply: Reply, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - told to who asked
                reply.bad(error)
            else:
                reply.good(value)

        self._pool.submit(run)

    def _status(self) -> HolderStatus:
        failure = self._writer.recorder.failure
        return HolderStatus(
            pid=os.getpid(),
            backend=self._front.backend,
            mountpoint=str(self._mountpoint),
            head=self._writer.history.head,
            passthrough=self._front.passthrough,
            problem=None if failure is None else str(failure),
        )

    def annotate(self, turn_id: str | None) -> None:
        """Changes from now on belong to this turn; what open files hold by now, to the one before."""
        self._front.flush(FLUSH_SECONDS)
        self._writer.recorder.annotate(turn_id)

    def barrier(self, timeout: float = FLUSH_SECONDS) -> int:
        """Waits until all that happened before is in the history; head. Raises TimeoutError."""
        self._front.flush(timeout)
        return self._writer.recorder.barrier(timeout)

    def replicated(self, timeout: float = DRAIN_SECONDS) -> int:
        """Waits until all that happened before is in the history, and its contents in the remote tier, if there is one; head."""
        head = self.barrier(min(timeout, FLUSH_SECONDS))
        if self._uploader is not None:
            self._uploader.drain(timeout)
        return head

    def checkpoint(self, label: str | None, turn_id: str | None) -> Checkpoint:
        """Names the moment after all that happened before."""
        self._front.flush(FLUSH_SECONDS)
        return here.checkpoint(self._writer, label, turn_id)

    def fork(self, into: Path, at: int | None) -> int:
        """Makes the history of a fork; the moment it begins at."""
        if at is None:
            self._front.flush(FLUSH_SECONDS)
        return here.fork(self._writer, into, at)

    def change(self, request: Put | Remove) -> int:
        """Puts or removes; head."""
        with self._changing:
            head = self.barrier()
            here.expect(self._writer.history, request.path, request.if_hash)
            self._front.change(request, head)
            return self.barrier()

    def restore(self, iteration: int, path: bytes = b"") -> Restored:
        """Makes the tree, or what is at `path`, as it was."""
        with self._changing:
            head = self.barrier()
            restored = self._front.change(Restore(0, iteration, path), head)
            touched = [] if restored is None else restored.paths
            return Restored(self.barrier() if touched else head, touched)
