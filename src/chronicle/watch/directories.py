"""Which directory each watch is about: paths by watch and watches by path, through renames."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator

from chronicle import reaching
from chronicle.model.paths import is_within, joined
from chronicle.watch.inotify import Inotify


class Directories:
    """The watched directories of a tree. What is excluded is not watched."""

    def __init__(self, inotify: Inotify, tree: bytes, excluded: Callable[[bytes, bool], bool]) -> None:
        self._inotify = inotify
        self._tree = tree
        self._excluded = excluded
        self._paths: dict[int, bytes] = {}
        self._watches: dict[bytes, int] = {}

    def path(self, watch: int) -> bytes | None:
        """The directory that a watch is about; None when it is none of ours any more."""
        return self._paths.get(watch)

    def add(self, path: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
        """Watches a directory and all below it; yields what is in them, parents first.

        Each is watched before it is listed: what is made meanwhile is seen, listed, or both.

        Raises:
            NotSupportedError: there are too many directories.
        """
        pending = [path]
        with reaching.Walking(self._tree) as walking:
            while pending:
                directory = pending.pop()
                with contextlib.suppress(OSError):  # gone meanwhile, or a link by now: that is notified too
                    here = walking.directory(directory)
                    self._remember(directory, self._inotify.watch(b"/proc/self/fd/%d/." % here))
                    for name in map(os.fsencode, os.listdir(here)):
                        inside = joined(directory, name)
                        with contextlib.suppress(OSError):
                            seen = os.stat(name, dir_fd=here, follow_symlinks=False)
                            is_directory = stat.S_ISDIR(seen.st_mode)
                            if self._excluded(inside, is_directory):
                                continue
                            if is_directory:
                                pending.append(inside)
                            yield inside, seen

    def moved(self, source: bytes, path: bytes) -> None:
        """The directory at `source`, and all below it, are at `path` now."""
        self.gone(path)
        for known in [known for known in self._watches if is_within(known, source)]:
            watch = self._watches.pop(known)
            self._remember(path + known[len(source) :], watch)

    def gone(self, path: bytes) -> None:
        """The directory is there no more, and nothing below it."""
        for known in [known for known in self._watches if is_within(known, path)]:
            watch = self._watches.pop(known)
            self._paths.pop(watch, None)
            self._inotify.forget(watch)

    def ended(self, watch: int) -> None:
        """The kernel ended a watch: its directory is gone."""
        path = self._paths.pop(watch, None)
        if path is not None and self._watches.get(path) == watch:
            del self._watches[path]

    def _remember(self, path: bytes, watch: int) -> None:
        before = self._paths.get(watch)
        if before is not None and self._watches.get(before) == watch:
            del self._watches[before]
        self._paths[watch] = path
        self._watches[path] = watch
