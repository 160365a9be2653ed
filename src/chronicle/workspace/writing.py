"""Where a write goes: to the process that serves the workspace, else it is done here under the lock."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from chronicle.control import messages
from chronicle.control.client import CALL_SECONDS, Client, NobodyThereError, UnansweredError
from chronicle.control.messages import HolderStatus, Request, Restored
from chronicle.layout import Layout
from chronicle.model.errors import WorkspaceBusyError
from chronicle.model.iterations import Checkpoint
from chronicle.workspace import here
from chronicle.workspace.marks import Lock, read_mount
from chronicle.workspace.writer import Writer

REPLACED_SECONDS: Final = 10.0
"""How long to look for who serves a mounted workspace while nobody answers: a process that died is replaced within a second."""

ANSWER_SECONDS: Final = 2.0
"""How much longer an answer may take than what it is about, so that who waits hears the reason."""

_PAUSE_SECONDS: Final = 0.01

T = TypeVar("T")


class Writing:
    """The writing side of a `Workspace`. Thread-safe; nothing is held between calls."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._client = Client(layout.control)
        self._turn_id: str | None = None

    def holder(self) -> Client:
        """The way to the process that serves the workspace; its calls raise NobodyThereError while none does."""
        return self._client

    def holder_status(self) -> HolderStatus | None:
        """What the process that serves the workspace says; None when none does."""
        try:
            return self._client.call(messages.GetStatus(self._client.number()), HolderStatus)
        except (NobodyThereError, UnansweredError):
            return None

    def barrier(self, timeout: float) -> int:
        """See `Workspace.barrier`."""

        def nothing_pending(writer: Writer) -> int:
            return here.barrier(writer, timeout)

        return self._do(
            lambda number: messages.Barrier(number, timeout), int, nothing_pending, timeout=timeout + ANSWER_SECONDS
        )

    def put(self, path: bytes, content: bytes | Path | None, mode: int | None, if_hash: str | None) -> int:
        """See `Workspace.put`."""
        with self._spooled(content) as source:
            return self._do(
                lambda number: messages.Put(number, path, str(source), mode, if_hash),
                int,
                lambda writer: here.put(writer, path, source, mode, if_hash),
                again=if_hash is None,
            )

    def remove(self, path: bytes, if_hash: str | None) -> int:
        """See `Workspace.remove`."""
        return self._do(
            lambda number: messages.Remove(number, path, if_hash),
            int,
            lambda writer: here.remove(writer, path, if_hash),
            again=False,
        )

    def restore(self, iteration: int, path: bytes, timeout: float) -> Restored:
        """See `Workspace.restore`."""
        return self._do(
            lambda number: messages.Restore(number, iteration, path),
            Restored,
            lambda writer: here.restore(writer, iteration, path),
            timeout=timeout,
        )

    def checkpoint(self, label: str | None, turn_id: str | None) -> Checkpoint:
        """See `Workspace.checkpoint`."""
        return self._do(
            lambda number: messages.MakeCheckpoint(number, label, turn_id),
            Checkpoint,
            lambda writer: here.checkpoint(writer, label, turn_id),
        )

    def annotate(self, turn_id: str | None) -> None:
        """See `Workspace.annotate`. Remembered for what is written here while nobody serves the workspace."""
        self._turn_id = turn_id
        with contextlib.suppress(NobodyThereError):
            self._client.call(messages.Annotate(self._client.number(), turn_id), type(None))

    def fork(self, into: Path, at: int | None) -> int:
        """Makes the history of a fork in the directory `into`; returns the moment it begins at."""
        return self._do(
            lambda number: messages.Fork(number, str(into), at),
            int,
            lambda writer: here.fork(writer, into, at),
            again=False,
        )

    def close(self) -> None:
        """Gives connections back."""
        self._client.close()

    @contextlib.contextmanager
    def _spooled(self, content: bytes | Path | None) -> Iterator[Path]:
        """The content as a file that whoever writes can read."""
        if isinstance(content, Path):
            yield Path(os.path.abspath(content))
            return
        descriptor, name = tempfile.mkstemp(prefix=".incoming-", dir=self._layout.root)
        try:
            with open(descriptor, "wb") as sink:
                sink.write(content or b"")
            yield Path(name)
        finally:
            os.unlink(name)

    def _do(
        self,
        request: Callable[[int], Request],
        kind: type[T],
        here_: Callable[[Writer], T],
        *,
        timeout: float = CALL_SECONDS,
        again: bool = True,
    ) -> T:
        """Has it done by the holder, else does it under the lock. `again`: doing it twice does no harm, so that a holder that
        died over it is no error.
        """
        end = time.monotonic() + REPLACED_SECONDS
        while True:
            try:
                return self._client.call(request(self._client.number()), kind, timeout)
            except NobodyThereError:
                pass
            except UnansweredError:
                if not again or time.monotonic() >= end:
                    raise
            lock = self._try_lock()
            if lock is not None:
                return self._under(lock, here_)
            if time.monotonic() >= end:
                raise WorkspaceBusyError(
                    f"{self._layout.root} is held by another process that does not answer; try again when it is done"
                )
            time.sleep(_PAUSE_SECONDS)

    @contextlib.contextmanager
    def alone(self) -> Iterator[Writer]:
        """The right to write, for longer; what was noted before is recorded at the end. Raises WorkspaceBusyError."""
        lock = self._try_lock()
        if lock is None:
            raise WorkspaceBusyError(f"{self._layout.root} is written by another process; try again when it is done")
        with Writer.begin(self._layout, self._layout.read_settings(), lock) as writer:
            writer.compare()
            writer.recorder.annotate(self._turn_id)
            yield writer

    def _try_lock(self) -> Lock | None:
        """The lock, if it is free and nobody keeps the workspace mounted (a process that died is being replaced then)."""
        if read_mount(self._layout) is not None:
            return None
        lock = Lock.try_take(self._layout)
        if lock is not None and read_mount(self._layout) is not None:
            lock.release()
            return None
        return lock

    def _under(self, lock: Lock, work: Callable[[Writer], T]) -> T:
        # Settings are read anew: who held the lock before may have changed them.
        with Writer.begin(self._layout, self._layout.read_settings(), lock) as writer:
            writer.compare()
            writer.recorder.annotate(self._turn_id)
            return work(writer)
