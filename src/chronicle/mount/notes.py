"""What the mount tells the recorder, and when: the rules that make every version exact."""

import contextlib
import errno
import os
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from chronicle import reaching
from chronicle.model.changes import Change, ChangeKind
from chronicle.mount.nodes import NEVER, Node, Seal
from chronicle.recording import SETTLE_INLINE, Token

FINE_KERNEL: Final = (6, 13)
"""From Linux 6.13 on a file's time moves with each write after somebody looked at it (multigrain timestamps)."""

COARSE_NS: Final = 10_000_000
"""Before, it moves with the timer tick: 100 Hz is the slowest."""


QUICK_BYTES: Final = 64 << 10
"""Content to be settled up to this size costs less than asking another thread to do it; more may have to wait for a commit."""


class Listener(Protocol):
    """The side of `chronicle.recording.Recorder` that the mount talks to."""

    def wrote(self, path: bytes, fd: int, mode: int, seen: os.stat_result | None = None) -> Token:
        """Content; takes the descriptor."""

    def settle(self, token: Token) -> bool:
        """Content is about to be changed in place; False: the disk took no copy."""

    def keep(self, token: Token, path_in_tree: bytes) -> None:
        """A name is about to go."""

    def changed(self, change: Change) -> None:
        """A change without content."""

    def due(self, inode: int) -> bool:
        """Whether an open file is to be noted again now."""

    def when_recorded(self, done: Callable[[int], None]) -> None:
        """Calls `done(head)` when all is on disk."""


class Later(Exception):
    """Raised by an operation that has to wait for `prepare`: that is run on a helper thread, then the operation again."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        super().__init__()
        self.prepare = prepare


def seal(st: os.stat_result) -> Seal:
    """What tells content apart."""
    return (st.st_mtime_ns, st.st_size)


def granularity_ns(release: str) -> int:
    """How far apart two writes may be and still bear the same time, by kernel release (`uname -r`)."""
    major, minor = (int("".join(c for c in part if c.isdigit()) or 0) for part in release.split(".")[:2])
    return 0 if (major, minor) >= FINE_KERNEL else COARSE_NS


class Notes:
    """Decides what is noted. All methods are called under the session's lock.

    `count` grows with each note, so that a reply can wait for what its request noted.
    """

    def __init__(self, recorder: Listener) -> None:
        self._recorder = recorder
        self._granularity = granularity_ns(os.uname().release)
        self.count = 0

    def change(self, kind: ChangeKind, path: bytes, **facts: Any) -> None:
        """Notes a change without content. `facts` as in `Change`."""
        self.count += 1
        self._recorder.changed(Change(kind, path, time.time_ns() // 1_000_000, **facts))

    def is_changed(self, node: Node, st: os.stat_result) -> bool:
        """Whether the content is another than what was noted last, or there when the file was first opened for writing."""
        return node.dirty or (node.baseline is not None and node.baseline != (st.st_mtime_ns, st.st_size))

    def take_baseline(self, node: Node, st: os.stat_result) -> None:
        """From now on, content other than this is a change."""
        node.baseline = (st.st_mtime_ns, st.st_size)
        node.dirty = bool(self._granularity) and time.time_ns() - st.st_mtime_ns < self._granularity

    def content(self, node: Node, fd: int, st: os.stat_result) -> None:
        """Notes the content that `fd` reads; takes the descriptor. A file without a name is nobody's version."""
        if not node.named:
            os.close(fd)
            return
        self.count += 1
        node.token = self._recorder.wrote(node.path(), fd, st.st_mode, st)
        self.take_baseline(node, st)

    def content_while_open(self, node: Node, fd: int, st: os.stat_result) -> None:
        """Notes what `fd` reads now although others go on writing; small content is made safe from them at once.

        Large content is recorded as the recorder finds it a moment later, and again when it is quiet or closed: copying it at
        each fsync of a database would cost more than the database.
        """
        self.content(node, os.dup(fd), st)
        token = node.token
        if token is not None and node.writers and not token.done and token.size <= SETTLE_INLINE:
            self._recorder.settle(token)
            node.token = None

    def unsaved(self, node: Node) -> None:
        """Notes changed content of an open file before its name changes or goes, so that the history has it under this name."""
        if node.writers and node.named:
            fd = next(handle.fd for handle in node.handles or () if handle.writable)
            st = os.fstat(fd)
            if self.is_changed(node, st):
                self.content_while_open(node, fd, st)

    def before_change(self, node: Node) -> None:
        """Content is about to be changed in place: what was noted has to be safe.

        Raises:
            Later: it is large.
            OSError: ENOSPC, when the disk takes no copy of what would be lost: the writer is refused, not the version.
        """
        token = node.token
        if token is None or token.done:
            node.token = None
            return
        if node.writers:  # noted while it was being written: no state of it is promised but the last
            return
        if token.size > QUICK_BYTES:
            raise Later(lambda: self._settle(node, token))
        self._settle(node, token)

    def _settle(self, node: Node, token: Token) -> None:
        if not self._recorder.settle(token):
            raise OSError(errno.ENOSPC, "no room for the version before")
        if node.token is token:
            node.token = None

    def opening(self, node: Node, fd: int, st: os.stat_result) -> None:
        """A file was opened for writing. What changed unseen since the last note (another writer's, a mapping's) is noted first.

        Raises:
            Later: it is large, and nobody else writes it.
        """
        if node.baseline is None:
            self.take_baseline(node, st)
        elif self.is_changed(node, st):
            self.content_while_open(node, fd, st)
            self.before_change(node)

    def created(self, node: Node) -> None:
        """A file was made: whatever it holds at close is a version, also nothing."""
        node.baseline = NEVER
        node.dirty = False

    def name_goes(self, node: Node, path: bytes) -> None:
        """Before an unlink, or a rename over it: unsaved content is noted, unrecorded content gets a name elsewhere."""
        self.unsaved(node)
        token = node.token
        if token is not None and not token.done:
            self._recorder.keep(token, path)

    def fsynced(self, node: Node, fd: int) -> None:
        """After an fsync: changed content is a version, unless the file is so large that it was read a moment ago."""
        st = os.fstat(fd)
        if node.named and self.is_changed(node, st) and self._recorder.due(node.inode):
            self.content_while_open(node, fd, st)

    def looked_at(self, node: Node, *, quiet_ns: int | None) -> bool:
        """Notes an open file that changed and was quiet for so long (None: however long); says whether it did."""
        handle = next((handle for handle in node.handles or () if handle.writable), None)
        if handle is None or not node.named:
            return False
        st = os.fstat(handle.fd)
        if not self.is_changed(node, st):
            return False
        if quiet_ns is not None and not (self._is_quiet(st, quiet_ns) and self._recorder.due(node.inode)):
            return False
        self.content_while_open(node, handle.fd, st)
        return True

    def _is_quiet(self, st: os.stat_result, quiet_ns: int) -> bool:
        age = time.time_ns() - st.st_mtime_ns
        return age >= quiet_ns or age < 0  # a time in the future says nothing

    def after_close(self, node: Node, root_fd: int) -> bool:
        """Looks at a closed file again: a mapping may have been written after the close. Says whether it was."""
        if not node.named or node.writers or node.baseline is None:
            return False
        with contextlib.suppress(OSError), reaching.place(root_fd, node.path()) as (here, name):
            st = os.stat(name, dir_fd=here, follow_symlinks=False)
            if st.st_ino != node.inode or not self.is_changed(node, st):
                return False
            fd = os.open(name, reaching.READ, dir_fd=here)
            st = os.fstat(fd)
            if st.st_ino == node.inode and self.is_changed(node, st):
                self.content(node, fd, st)
                return True
            os.close(fd)
        return False

    def when_recorded(self, done: Callable[[], None]) -> None:
        """Calls `done` once all that was noted is on disk."""
        self._recorder.when_recorded(lambda _: done())
