"""Writing under the lock while nobody serves the workspace: into the working tree, then recorded from there."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chronicle import reaching
from chronicle.control.failures import ChangedMeanwhileError
from chronicle.control.messages import Put, Remove, Restore, Restored
from chronicle.model.errors import StorageError
from chronicle.model.iterations import Checkpoint
from chronicle.model.paths import is_within
from chronicle.recording.reconcile import reconcile
from chronicle.store.history import History
from chronicle.workspace import applying
from chronicle.workspace.writer import Writer
from chronicle.worktree import restore as restore_through

RECORD_SECONDS = 60.0
"""How long recording what was written may take."""


def barrier(writer: Writer, timeout: float) -> int:
    """Waits until what the last writer left behind is recorded. Returns head."""
    return writer.recorder.barrier(timeout)


def put(writer: Writer, path: bytes, source: Path, mode: int | None, if_hash: str | None) -> int:
    """Writes a file from `source`. Returns head."""
    writer.recorder.barrier(RECORD_SECONDS)
    expect(writer.history, path, if_hash)
    writer.worktree.prepare(path)
    if writer.worktree.hollow:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            writer.worktree.empty(path)
    with translated(path), applying.source(source) as content:
        applying.put(writer.layout.tree, path, content, mode)
    return _record(writer, path)


def remove(writer: Writer, path: bytes, if_hash: str | None) -> int:
    """Removes what is at `path`. Returns head."""
    writer.recorder.barrier(RECORD_SECONDS)
    expect(writer.history, path, if_hash)
    writer.worktree.prepare(path)
    with translated(path):
        applying.remove(writer.layout.tree, path)
    return _record(writer, path)


def restore(writer: Writer, iteration: int, path: bytes) -> Restored:
    """Makes the tree, or what is at `path`, as it was."""
    head = writer.recorder.barrier(RECORD_SECONDS)
    with translated(path):
        touched = restore_through(
            writer.history, writer.pool, writer.layout.tree, iteration, path, worktree=writer.worktree
        )
    if touched:
        note(writer, touched)
        head = writer.recorder.barrier(RECORD_SECONDS)
    return Restored(head, touched)


def change(writer: Writer, request: Put | Remove | Restore, head: int) -> Restored | None:
    """A change of a tree that others watch: they note what it does."""
    path, tree = request.path, writer.layout.tree
    with translated(path):
        match request:
            case Put(source=source, mode=mode):
                with applying.source(source) as content:
                    applying.put(tree, path, content, mode)
            case Remove():
                applying.remove(tree, path)
            case Restore(iteration=iteration):
                return Restored(head, restore_through(writer.history, writer.pool, tree, iteration, path))
    return None


def checkpoint(writer: Writer, label: str | None, turn_id: str | None) -> Checkpoint:
    """Names the moment after everything that is noted."""
    made: list[Checkpoint] = []
    writer.recorder.checkpoint(label=label, turn_id=turn_id, done=made.append)
    writer.recorder.barrier(RECORD_SECONDS)
    return made[0]


def fork(writer: Writer, into: Path, at: int | None) -> int:
    """Makes the history of a fork. Returns the moment it begins at."""
    head = writer.recorder.barrier(RECORD_SECONDS)
    moment = head if at is None else at
    writer.history.fork(into, moment)
    return moment


def expect(history: History, path: bytes, if_hash: str | None) -> None:
    """Raises ChangedMeanwhileError unless `path` has the content that the caller thinks. None: anything will do."""
    if if_hash is None:
        return
    there = history.lookup(path)
    actual = there.digest.hex() if there is not None and there.digest is not None else None
    if if_hash != (actual or "") or (there is not None and actual is None):
        raise ChangedMeanwhileError(path, if_hash, actual)


@contextmanager
def translated(path: bytes) -> Iterator[None]:
    """What the disk refuses, as StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{os.fsdecode(path) or 'the workspace'}: {error.strerror or error}") from error


def note(writer: Writer, paths: Iterable[bytes]) -> None:
    """Notes what is at paths that were just written. A comparison alone would not do: it takes a file of the same size and time for
    the same, and who writes what comes from elsewhere sets the time.
    """
    paths = list(paths)
    reconcile(writer.layout, writer.history, writer.recorder, paths=topmost(paths))
    contents(writer, paths)


def contents(writer: Writer, paths: Iterable[bytes]) -> None:
    """Notes the contents of the regular files at the paths, whatever their size and time."""
    with reaching.Walking(writer.layout.tree, reaching.STEP) as walking:
        for path in paths:
            try:
                above, name = walking.place(path)
                content = os.open(name, reaching.READ, dir_fd=above)
            except OSError:
                continue  # gone, or a link: the comparison has it
            mode = os.fstat(content).st_mode
            if stat.S_ISREG(mode):
                writer.recorder.wrote(path, content, mode)
            else:
                os.close(content)


def topmost(paths: Iterable[bytes]) -> list[bytes]:
    """Those of the paths that lie in none of the others: who looks at them with all below has seen all."""
    found: list[bytes] = []
    # A separator that sorts before every other byte puts what lies in a directory right behind it.
    for path in sorted(set(paths), key=lambda path: path.replace(b"/", b"\0")):
        if not found or not is_within(path, found[-1]):
            found.append(path)
    return found


def _record(writer: Writer, path: bytes) -> int:
    reconcile(writer.layout, writer.history, writer.recorder, paths=[path])
    return writer.recorder.barrier(RECORD_SECONDS)
