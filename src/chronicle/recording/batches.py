"""Recording one batch: contents into the pool, commit; iterations into the history with the journal's position, commit."""

import errno
import logging
import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from chronicle.layout import Layout
from chronicle.model.changes import Change
from chronicle.model.errors import StorageError
from chronicle.model.iterations import Checkpoint, Iteration
from chronicle.recording.comparing import Comparison
from chronicle.recording.contents import Adding, Captured, store_bytes, store_file
from chronicle.recording.notes import ChangeNote, CheckpointNote, RescanNote, WroteNote
from chronicle.recording.queue import Item, Queue
from chronicle.recording.tokens import Token
from chronicle.store.faults import fault
from chronicle.store.history import History, HistoryBatch
from chronicle.store.pool import Pool

_log = logging.getLogger(__name__)

_OURS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What says that the host refuses; any other error of a working file is that file's own."""


class Outcome(NamedTuple):
    """What a batch made: iterations in order, and the checkpoints with who is to be told of each."""

    iterations: list[Iteration]
    checkpoints: list[tuple[Callable[[Checkpoint], None], Checkpoint]]


class BatchWriter:
    """Records batches. Repeating one that failed, or was cut off, does no harm."""

    def __init__(
        self,
        layout: Layout,
        queue: Queue,
        history: History,
        pool: Pool,
        comparison: Comparison,
        measured: Callable[[int, int, float], None],
        *,
        durable: bool,
    ) -> None:
        """`durable`: commits outlive a crash of the host. `measured(inode, size, seconds)` is told how long each large content took."""
        self._layout = layout
        self._tree = os.fsencode(layout.tree)
        self._queue = queue
        self._durable = durable
        self._history = history
        self._pool = pool
        self._comparison = comparison
        self._measured = measured

    def record(self, items: list[Item]) -> Outcome:
        """Records the items, in order, in one commit each of pool and history.

        Raises:
            OSError, ChronicleError: nothing of it is in the history.
        """
        if not items:
            return Outcome([], [])
        work = [piece for item in items for piece in self._expanded(item)]
        contents = self._store([piece.token for piece in work if piece.token is not None])
        outcome = Outcome([], [])
        with self._history.batch(durable=self._durable) as batch:
            for piece in work:
                self._apply(batch, piece, contents, outcome)
            batch.consumed(items[-1].end)
        for piece in work:
            if piece.token is not None:
                self.finish(piece.token)
        return outcome

    def finish(self, token: Token) -> None:
        """The content is recorded: nothing of it need be held any more."""
        self._queue.finish(token)
        token.clear(self._layout.pending)

    def _expanded(self, item: Item) -> list[Item]:
        if not isinstance(item.note, RescanNote):
            return [item]
        found: list[Item] = []
        for note in self._comparison.of(item.note.path, item.note.at, item.note.turn, item.note.since):
            if isinstance(note, WroteNote):
                token = Token(note, item.end)
                token.found = note.path
                found.append(Item(item.end, note, token))
            else:
                found.append(Item(item.end, note))
        return found

    def _store(self, tokens: list[Token]) -> dict[int, Captured]:
        """Captured contents by identity of the token; what is gone is left out."""
        contents: dict[int, Captured] = {}
        if not tokens:
            return contents
        try:
            with self._pool.batch(durable=self._durable) as batch:
                for token in tokens:
                    self._queue.breathe()
                    captured = self._capture(token, batch)
                    if captured is not None:
                        contents[id(token)] = captured
        except BaseException:
            for token in tokens:
                token.was_read = False
            raise
        fault("content.stored")
        return contents

    def _capture(self, token: Token, batch: Adding) -> Captured | None:
        began = time.monotonic()
        try:
            with token.lock:
                captured = self._read(token, batch)
                token.was_read = True
        except StorageError:
            raise
        except OSError as error:
            if error.errno in _OURS:
                raise
            # Its last state is gone, or can't be read: what is at the path now is noted by what happened to it, or found
            # by the comparison after a crash.
            if token.note is not None:
                shown = token.note.path.decode(errors="replace")
                _log.info("no content to record", extra={"path": shown, "reason": str(error)})
                self._measured(token.note.inode, 0, 0.0)
            return None
        if token.note is not None:
            self._measured(token.note.inode, captured.size, time.monotonic() - began)
        return captured

    def _read(self, token: Token, batch: Adding) -> Captured:
        source = token.source()
        if source.kept is not None:
            return store_bytes(source.kept, source.note.mtime_ns if source.note else 0, batch)
        if source.inline is not None:
            content, mtime_ns = source.inline_content(self._queue.journal)
            return store_bytes(content, mtime_ns, batch)
        fd, owned = source.open_source(self._layout.pending, self._tree)
        try:
            return store_file(fd, batch)
        finally:
            if owned:
                os.close(fd)

    def _apply(self, batch: HistoryBatch, piece: Item, contents: dict[int, Captured], outcome: Outcome) -> None:
        match piece.note:
            case WroteNote() as note:
                captured = contents.get(id(piece.token))
                if captured is not None:
                    outcome.iterations.extend(batch.apply(_write(note, captured)))
            case ChangeNote(change=change, turn=turn):
                if turn is not None and change.turn_id is None:
                    change = msgspec.structs.replace(change, turn_id=turn)
                outcome.iterations.extend(batch.apply(change))
            case CheckpointNote(at=at, label=label, turn=turn):
                checkpoint = batch.checkpoint(at=at, label=label, turn_id=turn)
                if piece.told is not None:
                    outcome.checkpoints.append((piece.told, checkpoint))
            case _:
                pass


def _write(note: WroteNote, captured: Captured) -> Change:
    return Change(
        kind="write",
        path=note.path,
        at=note.at,
        mode=note.mode,
        mtime_ns=captured.mtime_ns,
        size=captured.size,
        digest=captured.digest,
        turn_id=note.turn,
    )
