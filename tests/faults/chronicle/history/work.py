"""What a process does to a history until it is killed: the same things in the same order, whenever it is started.

Run as a program: `python -m tests.faults.chronicle.history.work DIRECTORY BATCHES [POINT FROM]`. Prints the newest iteration
after each batch; from batch FROM on the fault POINT is armed.
"""

import os
import shutil
import sys
from hashlib import sha256
from pathlib import Path

from chronicle.model.changes import Change
from chronicle.store.faults import FAULT
from chronicle.store.history import History

ITERATIONS = 4
"""Iterations of each batch."""


def changes(number: int) -> list[Change]:
    """The changes of one batch: one file made, one written, one renamed over another, one directory's name changed."""
    content = sha256(b"%d" % number).digest()
    return [
        Change("write", b"new-%d" % number, number, mode=0o100644, size=1, digest=content),
        Change("write", b"same", number, mode=0o100644, size=1, digest=content),
        Change("rename", b"latest", number, source=b"new-%d" % number),
        Change("mkdir", b"d%d" % number, number, mode=0o040755)
        if number == 0
        else Change("rename", b"d%d" % number, number, source=b"d%d" % (number - 1)),
    ]


def record(history: History, number: int) -> None:
    """One batch."""
    with history.batch() as batch:
        for change in changes(number):
            batch.apply(change)
        batch.consumed(number + 1)


def work(directory: Path, batches: int, point: str = "", since: int = 0) -> None:
    """Goes on where the history stands. Each third batch is followed by a seal and a fold, each fourth by a fork."""
    if not os.path.lexists(directory / "head.db"):
        History.create(directory).close()
    with History.open(directory, writable=True, longest_chain=2) as history:
        for number in range(history.position(), batches):
            if point and number >= since:
                os.environ[FAULT] = point
            record(history, number)
            sys.stdout.write(f"{history.head}\n")
            sys.stdout.flush()
            if number % 3 == 2:
                history.seal()
                history.fold()
            if number % 4 == 3:
                fork = directory.with_name("fork")
                shutil.rmtree(fork, ignore_errors=True)
                history.fork(fork, history.head - 2)


if __name__ == "__main__":
    directory, batches, point, since = (*sys.argv[1:], "", "0")[:4]
    work(Path(directory), int(batches), point, int(since))
