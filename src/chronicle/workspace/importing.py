"""Bringing files into a workspace from outside: through the mount when it is mounted, else into the tree, under the lock."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from chronicle.layout import Layout
from chronicle.model.errors import StorageError
from chronicle.recording.reconcile import reconcile
from chronicle.workspace import here
from chronicle.workspace.marks import read_mount
from chronicle.workspace.writer import Writer
from chronicle.workspace.writing import Writing


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
            yield Entrance(layout.tree, lambda paths, label: _here(writer, paths, label))


def _by_the_holder(writing: Writing, label: str | None) -> None:
    if label is None:
        writing.barrier(here.RECORD_SECONDS)
    else:
        writing.checkpoint(label, None)


def _here(writer: Writer, paths: list[bytes], label: str | None) -> None:
    reconcile(writer.layout, writer.history, writer.recorder, paths=sorted(set(paths)))
    if label is None:
        writer.recorder.barrier(here.RECORD_SECONDS)
    else:
        here.checkpoint(writer, label, None)


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{os.fsdecode(error.filename or b'')}: {error.strerror or error}") from error
