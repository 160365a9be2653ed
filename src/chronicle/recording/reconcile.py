"""Finding what nobody noted: comparing the working tree with head and noting what differs."""

import logging
import os
import stat
import time
from collections.abc import Iterable
from typing import Final

from chronicle import reaching
from chronicle.layout import Layout
from chronicle.recording.comparing import Comparison
from chronicle.recording.notes import ChangeNote
from chronicle.recording.recorder import Recorder
from chronicle.store.history import History

_log = logging.getLogger(__name__)

BARRIER_SECONDS: Final = 300.0
"""How long what was noted before may take to be recorded: a disk that is slower than this is broken."""

AT_ONCE: Final = 1000
"""Contents noted before the recorder is waited for, so that descriptors and memory stay bounded."""


def reconcile(layout: Layout, history: History, recorder: Recorder, *, paths: Iterable[bytes] | None = None) -> int:
    """Notes what differs between the working tree, or what is at and below `paths`, and head. How many notes that were.

    Waits first until everything noted before is recorded, and last until contents that were found are: nobody else can settle
    those. For a tree that nobody changes meanwhile, or whose changes are noted too. What is excluded or hollow is left alone.

    Raises:
        TimeoutError: recording doesn't go on (`recorder.failure`).
        OSError, StorageError: tree or history can't be read.
    """
    recorder.barrier(BARRIER_SECONDS)
    comparison = Comparison(layout, history, recorder.excluded)
    tree = os.fsencode(layout.tree)
    at = time.time_ns() // 1_000_000
    noted = 0
    contents = 0
    for path in [b""] if paths is None else paths:
        for note in comparison.of(path, at):
            noted += 1
            if isinstance(note, ChangeNote):
                recorder.changed(note.change)
                continue
            fd = _open(tree, note.path)
            if fd < 0:
                continue
            recorder.wrote(note.path, fd, note.mode)
            contents += 1
            if contents % AT_ONCE == 0:
                recorder.barrier(BARRIER_SECONDS)
    if contents:
        recorder.barrier(BARRIER_SECONDS)
    return noted


def _open(tree: bytes, path: bytes) -> int:
    try:
        fd = reaching.open_file(tree, path)
    except OSError as error:
        _log.info("a file can't be compared", extra={"path": path.decode(errors="replace"), "reason": str(error)})
        return -1
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return -1
