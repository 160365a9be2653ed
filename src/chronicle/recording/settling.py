"""Keeping a noted content from being lost before it is recorded: by a copy, by a further name, by the journal."""

import logging
import os
from typing import Final

from chronicle import reaching
from chronicle.layout import Layout
from chronicle.recording.contents import copy_aside, read_whole
from chronicle.recording.notes import InlineNote, encode
from chronicle.recording.queue import Limits, Queue
from chronicle.recording.tokens import Token
from chronicle.store.faults import fault

_log = logging.getLogger(__name__)

INLINE_BYTES: Final = 64 << 10
"""Contents up to this size are settled into the journal, larger ones into a file of their own: making a file costs about as
much as copying this."""

KEPT_BYTES: Final = 16 << 20
"""When the disk takes nothing, contents up to this much, together, are settled into memory."""


class Settler:
    """Settles and keeps tokens. Methods may be called from any thread; none raises."""

    def __init__(self, layout: Layout, queue: Queue, limits: Limits) -> None:
        """Opens `pending/`.

        Raises:
            OSError: it isn't there.
        """
        self._pending = layout.pending
        self._tree = os.fsencode(layout.tree)
        self._queue = queue
        self._limits = limits
        self._pending_fd = os.open(layout.pending, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._kept = 0

    def close(self) -> None:
        """Closes the directory; again does nothing."""
        fd, self._pending_fd = self._pending_fd, -1
        if fd >= 0:
            os.close(fd)

    def settle(self, token: Token) -> OSError | None:
        """Makes the content safe from changes in place; what failed, when it could not be done.

        Waits while the content is being read, for the commit of a large one that was just read (copying it again would take
        longer), and while copies of others fill the place they may.
        """
        if token.done or token.settled:
            return None
        with token.lock:
            was_read = token.was_read
        if was_read and token.size > INLINE_BYTES:
            self._queue.wait_until(lambda: token.done or not token.was_read, self._limits.pressure_s)
        elif token.size > INLINE_BYTES and self._queue.copied + token.size > self._limits.pending_bytes:
            self._queue.wait_until(lambda: token.done or not self._queue.copied, self._limits.pressure_s)
        with token.lock:
            if token.done or token.settled:
                return None
            try:
                self._copy(token)
            except OSError as error:
                return error
        self._queue.let_go(token)
        return None

    def _copy(self, token: Token) -> None:
        fd, owned = token.open_source(self._pending, self._tree)
        try:
            seen = os.fstat(fd)
            if seen.st_size <= INLINE_BYTES:
                self._inline(token, read_whole(fd, seen.st_size), seen.st_mtime_ns)
            else:
                self._aside(token, fd, seen.st_size)
        finally:
            if owned:
                os.close(fd)

    def _inline(self, token: Token, content: bytes, mtime_ns: int) -> None:
        payload = encode(InlineNote(token.position, content, mtime_ns))
        try:
            with self._queue.lock:
                token.inline = self._queue.journal.append(payload)
        except OSError:
            if self._kept + len(content) > KEPT_BYTES:
                raise
            self._kept += len(content)
            token.kept = content

    def _aside(self, token: Token, fd: int, size: int) -> None:
        copy_aside(fd, self._pending / token.copy_name())
        fault("settle.copied")
        with self._queue.lock:
            self._queue.copied += size
        token.size = size
        token.copied = True

    def keep(self, token: Token, path: bytes) -> None:
        """Saves the content before a name of the file goes.

        A large file whose only name goes gets another in `pending/`. Any other is settled: a further name would show, in the
        number of links of the names that stay.
        """
        if token.done or token.linked or token.settled:
            return
        try:
            if token.size <= INLINE_BYTES:
                self.settle(token)
                return
            with reaching.place(self._tree, path) as (here, name):
                if os.stat(name, dir_fd=here, follow_symlinks=False).st_nlink > 1:
                    self.settle(token)
                    return
                with self._queue.lock:
                    if token.done:
                        return
                    os.link(
                        name, token.link_name(), src_dir_fd=here, dst_dir_fd=self._pending_fd, follow_symlinks=False
                    )
                    token.linked = True
        except OSError as error:
            _log.debug("a file that goes has no second name", extra={"reason": str(error)})
            self.settle(token)
            return
        fault("keep.linked")

    def release_descriptor(self, token: Token, *, may_wait: bool) -> None:
        """Too many contents are held by descriptors: settles a small one, which costs least; for a large one the recorder gets
        time to catch up first.

        A name in `pending/` would hold it too, but show in the number of the file's links and in its change time.
        """
        queue = self._queue
        waits = may_wait and token.size > INLINE_BYTES
        if not (waits and queue.wait_until(lambda: queue.held <= self._limits.held, self._limits.pressure_s)):
            self.settle(token)
