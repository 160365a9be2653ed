"""The backend without FUSE: a plain directory, its changes as the kernel notifies them, recorded as the mount's are.

What it can't promise is written in `docs/internals/chronicle-watch.md`.
"""

import contextlib
import logging
import os
import secrets
import select
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from chronicle import reaching
from chronicle.layout import Layout, Settings
from chronicle.model.changes import Change
from chronicle.model.errors import ChronicleError, InvalidInputError
from chronicle.model.paths import joined
from chronicle.recording import Recorder
from chronicle.recording.comparing import own_xattrs
from chronicle.watch import inotify
from chronicle.watch.directories import Directories
from chronicle.watch.inotify import Event, Inotify

_log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 0.5
"""A file that is written and stays open is read this often: within the second that the contract allows."""

CLOCK_MS: Final = 1000
"""Files bear the time of the kernel's clock tick, which is behind ours; a second is far more than any tick."""

PAIR_SECONDS: Final = 0.02
"""How long the second half of a rename is waited for: the kernel queues both at once, but for what leaves the tree."""


class WatchBackend:
    """Watches a workspace's tree and notes what happens in it with a recorder.

    `failure` says why it sees no more (too many directories to watch), None while it does.
    """

    def __init__(self, layout: Layout, settings: Settings, recorder: Recorder, directory: Path) -> None:
        """`directory` is the working tree, as `layout` has it or through a symbolic link.

        Raises:
            InvalidInputError: it is another directory.
        """
        if directory.resolve() != layout.tree.resolve():
            raise InvalidInputError(f"{directory} is not the working tree of {layout.root}")
        self.failure: Exception | None = None
        self.workspace_id = settings.workspace_id
        self._recorder = recorder
        self._tree = os.fsencode(layout.tree.resolve())
        self._markers = layout.root / "watch"
        self._waiting: dict[bytes, threading.Event] = {}
        self._dirty: set[bytes] = set()
        self._seen_until: int | None = None
        self._thread: threading.Thread | None = None
        self._ending = False

    def start(self) -> None:
        """Watches the tree from now on; what was changed before is found by comparing it with head.

        Raises:
            NotSupportedError: the host doesn't notify, or not about so many directories.
        """
        self._seen_until = self._left_at()
        self._markers.mkdir(mode=0o700, exist_ok=True)
        for left in self._markers.iterdir():
            left.unlink(missing_ok=True)
        self._open()
        self._alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="chronicle-watch", daemon=True)
        self._thread.start()

    def barrier(self, timeout: float) -> int:
        """Waits until everything that happened in the tree before this call is recorded; the newest iteration.

        Raises:
            TimeoutError: not within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        began = _now()
        name = secrets.token_hex(8).encode()
        passed = self._waiting[name] = threading.Event()
        marker = self._markers / name.decode()
        try:
            marker.touch()
            if not passed.wait(timeout):
                raise TimeoutError(f"notifications did not pass within {timeout} s")
        finally:
            self._waiting.pop(name, None)
            marker.unlink(missing_ok=True)
            self._leave(began)
        return self._recorder.barrier(max(0.0, end - time.monotonic()))

    def stop(self) -> None:
        """Notes what has happened so far, and watches no more. The recorder goes on."""
        if self._thread is None:
            return
        self._ending = True
        os.eventfd_write(self._alarm, 1)
        self._thread.join()
        self._thread = None
        self._leave(self._seen_until)
        os.close(self._alarm)
        self._inotify.close()

    def _left_at(self) -> int | None:
        """Until when an earlier process saw all, in milliseconds since 1970: the time of the markers' directory says so."""
        try:
            return os.stat(self._markers).st_mtime_ns // 1_000_000
        except FileNotFoundError:
            return None

    def _leave(self, until: int | None) -> None:
        """Everything until then has been seen: what the next process finds that changed later, it reads."""
        if until is not None:
            with contextlib.suppress(OSError):
                os.utime(self._markers, ns=(until * 1_000_000, until * 1_000_000))

    def _open(self) -> None:
        """Watches everything, then lets the recorder compare: what happens from here on is seen by one or the other."""
        self._inotify = Inotify()
        try:
            self._marker_watch = self._inotify.watch(os.fsencode(self._markers))
            self._directories = Directories(self._inotify, self._tree, self._recorder.excluded)
            for _ in self._directories.add(b""):
                pass
        except BaseException:
            self._inotify.close()
            raise
        self._dirty.clear()
        self._recorder.rescan(b"", None if self._seen_until is None else self._seen_until - CLOCK_MS)

    def _run(self) -> None:
        try:
            while not self._ending:
                self._wait()
                self._read()
                if self._dirty and time.monotonic() >= self._sweep_at:
                    self._sweep()
            self._read()
            self._sweep()
        except ChronicleError as error:
            self.failure = error
            _log.exception("changes are no longer seen", extra={"workspace": self.workspace_id})

    _sweep_at = 0.0

    def _read(self) -> None:
        before = _now()
        self._handle(self._inotify.read())
        self._seen_until = before

    def _wait(self) -> None:
        """Until something happens; only while files are written and stay open, until they are to be read."""
        poll = select.poll()
        poll.register(self._inotify.fd, select.POLLIN)
        poll.register(self._alarm, select.POLLIN)
        poll.poll(max(0.0, self._sweep_at - time.monotonic()) * 1000 if self._dirty else None)

    def _handle(self, events: list[Event]) -> None:
        """Notes what happened, in order; halves of renames are looked for ahead, once more in what comes within `PAIR_SECONDS`."""
        at = 0
        taken: set[int] = set()
        while at < len(events):
            event = events[at]
            at += 1
            if event.mask & inotify.OVERFLOW:
                self._lost()
                return
            if event.mask & inotify.MOVED_FROM:
                there = _second_half(events, at, event.cookie)
                if there is None and self._inotify.wait(PAIR_SECONDS):
                    events += self._inotify.read()
                    there = _second_half(events, at, event.cookie)
                self._moved(event, None if there is None else events[there])
                if there is not None:
                    taken.add(there)
            elif at - 1 not in taken:
                self._happened(event)

    def _lost(self) -> None:
        """The kernel gave up queueing: everything is watched anew and compared."""
        _log.info("notifications were lost; the tree is compared", extra={"workspace": self.workspace_id})
        self._inotify.close()
        self._open()
        for passed in list(self._waiting.values()):
            passed.set()

    def _happened(self, event: Event) -> None:
        if event.watch == self._marker_watch:
            if event.mask & inotify.CREATE:
                self._sweep()
                passed = self._waiting.get(event.name)
                if passed is not None:
                    passed.set()
            return
        if event.mask & inotify.IGNORED:
            self._directories.ended(event.watch)
            return
        directory = self._directories.path(event.watch)
        if directory is None:
            return
        path = joined(directory, event.name) if event.name else directory
        is_directory = bool(event.mask & inotify.IS_DIRECTORY)
        if self._recorder.excluded(path, is_directory):
            return
        if event.mask & inotify.CLOSE_WRITE:
            self._wrote(path)
        elif event.mask & inotify.MODIFY:
            self._touched(path)
        elif event.mask & (inotify.CREATE | inotify.MOVED_TO):
            self._came(path, is_directory, moved=bool(event.mask & inotify.MOVED_TO))
        elif event.mask & inotify.DELETE:
            self._went(path, is_directory)
        elif event.mask & inotify.ATTRIB:
            self._attributes(path)

    def _moved(self, event: Event, there: Event | None) -> None:
        directory = self._directories.path(event.watch)
        onto = None if there is None else self._directories.path(there.watch)
        is_directory = bool(event.mask & inotify.IS_DIRECTORY)
        if directory is None or there is None or onto is None:
            if directory is not None:
                self._went(joined(directory, event.name), is_directory)
            if there is not None:
                self._happened(there)
            return
        source, path = joined(directory, event.name), joined(onto, there.name)
        self._recorder.changed(Change(kind="rename", path=path, source=source, at=_now()))
        if source in self._dirty:
            self._dirty.discard(source)
            self._touched(path)
        if is_directory:
            self._directories.moved(source, path)
            if self._recorder.excluded(path, True):
                self._directories.gone(path)
        self._look(path, is_directory)
        self._look(source, is_directory)

    def _look(self, path: bytes, is_directory: bool) -> None:
        """Compares a side of a rename. Notifications of before name the old path, and are about what is at the new one; at
        the old one something else may be (an exchange is two renames here). A file is read: size and time may be those of what was
        there, or of what it held before it was written and renamed in one go."""
        seen = self._seen(path)
        if seen is None or self._recorder.excluded(path, is_directory):
            return
        if stat.S_ISREG(seen.st_mode):
            self._recorder.rescan(path, 0)
            return
        if is_directory:
            for _ in self._directories.add(path):
                pass
        self._recorder.rescan(path)

    def _came(self, path: bytes, is_directory: bool, *, moved: bool) -> None:
        seen = self._seen(path)
        if seen is None:
            return  # gone again
        self._new(path, seen, closed=moved)
        if is_directory and stat.S_ISDIR(seen.st_mode):
            for inside, found in self._directories.add(path):
                self._new(inside, found, closed=True)

    def _new(self, path: bytes, seen: os.stat_result, *, closed: bool) -> None:
        """Something is at a path. A new file is read when it is closed; if nobody has it open, at the next sweep."""
        kind = stat.S_IFMT(seen.st_mode)
        change = Change(kind="mkdir", path=path, at=_now(), mode=seen.st_mode, mtime_ns=seen.st_mtime_ns)
        if kind == stat.S_IFREG:
            if closed:
                self._wrote(path)
            else:
                self._touched(path)
            return
        if kind == stat.S_IFLNK:
            with contextlib.suppress(OSError), reaching.place(self._tree, path) as (here, name):
                target = os.readlink(name, dir_fd=here)
                self._recorder.changed(Change("symlink", path, _now(), seen.st_mode, seen.st_mtime_ns, target=target))
            return
        if kind != stat.S_IFDIR:
            change = Change("special", path, _now(), seen.st_mode, seen.st_mtime_ns)
        self._recorder.changed(change)

    def _went(self, path: bytes, is_directory: bool) -> None:
        self._dirty.discard(path)
        if is_directory:
            self._directories.gone(path)
        self._recorder.changed(Change(kind="delete", path=path, at=_now()))

    def _attributes(self, path: bytes) -> None:
        try:
            with reaching.place(self._tree, path) as (here, name):
                seen = os.stat(name, dir_fd=here, follow_symlinks=False)
                xattrs = own_xattrs(b"/proc/self/fd/%d/%b" % (here, name))
        except OSError:
            return
        if stat.S_ISLNK(seen.st_mode):
            return
        self._recorder.changed(Change("attributes", path, _now(), seen.st_mode, seen.st_mtime_ns))
        self._recorder.changed(Change("xattr", path, _now(), seen.st_mode, seen.st_mtime_ns, xattrs=xattrs))

    def _touched(self, path: bytes) -> None:
        if not self._dirty:
            self._sweep_at = time.monotonic() + SWEEP_SECONDS
        self._dirty.add(path)

    def _sweep(self) -> None:
        """Reads what was written and not closed; what isn't due yet (large files) stays for the next time."""
        waiting, self._dirty = self._dirty, set()
        self._note(waiting)

    def _note(self, paths: Iterable[bytes]) -> None:
        for path in sorted(paths):
            seen = self._seen(path)
            if seen is None:
                continue
            if self._ending or self._waiting or self._recorder.due(seen.st_ino):
                self._wrote(path)
            else:
                self._touched(path)

    def _wrote(self, path: bytes) -> None:
        self._dirty.discard(path)
        try:
            fd = reaching.open_file(self._tree, path)
        except OSError:
            return  # renamed or removed: the notification of that follows
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            self._recorder.wrote(path, fd, mode)
        else:
            os.close(fd)

    def _seen(self, path: bytes) -> os.stat_result | None:
        """What is at the path, by no symbolic link on the way; None when nothing is."""
        try:
            return reaching.look(self._tree, path)
        except OSError:
            return None


def _second_half(events: list[Event], at: int, cookie: int) -> int | None:
    for index in range(at, len(events)):
        if events[index].cookie == cookie and events[index].mask & inotify.MOVED_TO:
            return index
    return None


def _now() -> int:
    return time.time_ns() // 1_000_000
