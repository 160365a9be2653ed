"""Bringing files into a workspace from outside: through the mount when it is mounted, else into the tree, under the lock."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from chronicle import reaching
from chronicle.layout import Layout
from chronicle.model.errors import StorageError
from chronicle.recording.reconcile import reconcile
from chronicle.workspace import applying, here
from chronicle.workspace.marks import read_mount
from chronicle.workspace.writer import Writer
from chronicle.workspace.writing import Writing

_CLOCK_NS: Final = 20_000_000
"""File systems take times from a clock that ticks every 1 to 10 ms."""


class Entrance(NamedTuple):
    """Where files are written, and what is called when some are: with the paths (below which everything may be new) and, when the moment
    has a name, with that. It returns when they are recorded.
    """

    root: Path
    record: Callable[[list[bytes], str | None], None]


@contextlib.contextmanager
def entrance(layout: Layout, writing: Writing) -> Iterator[Entrance]:
    """The way in. Raises WorkspaceBusyError when another process writes the workspace and shows no mount."""
    note = read_mount(layout)
    with _refused():
        if note is not None:
            yield Entrance(Path(note.mountpoint), lambda _paths, label: _by_the_holder(writing, label))
            return
        with writing.alone() as writer:
            writer.recorder.barrier(here.RECORD_SECONDS)
            writer.worktree.complete()
            since = time.time_ns() - _CLOCK_NS
            yield Entrance(layout.tree, lambda paths, label: _here(writer, paths, label, since))


def _by_the_holder(writing: Writing, label: str | None) -> None:
    if label is None:
        writing.barrier(here.RECORD_SECONDS)
    else:
        writing.checkpoint(label, None)


def _here(writer: Writer, paths: list[bytes], label: str | None, since: int) -> None:
    reconcile(writer.layout, writer.history, writer.recorder, paths=here.topmost(paths))
    here.contents(writer, _written(writer.layout, paths, since))
    if label is None:
        writer.recorder.barrier(here.RECORD_SECONDS)
    else:
        here.checkpoint(writer, label, None)


def _written(layout: Layout, paths: list[bytes], since: int) -> Iterator[bytes]:
    """What below the paths was written since then, in nanoseconds since 1970, by the time of change, which nobody can set."""
    with reaching.Walking(layout.tree, reaching.STEP) as walking:
        for path in here.topmost(paths):
            for below in applying.paths_below(layout.tree, path):
                with contextlib.suppress(OSError):
                    above, name = walking.place(below)
                    if os.stat(name, dir_fd=above, follow_symlinks=False).st_ctime_ns >= since:
                        yield below


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{os.fsdecode(error.filename or b'')}: {error.strerror or error}") from error
