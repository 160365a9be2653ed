"""The files of a history's directory: `segment-{k}.db`, and `head.db`, a symbolic link to the one that is written.

SQLite keeps its log beside a database, under the database's name. So no database is ever renamed while someone may have it
open: sealing makes a new one and points `head.db` at it.
"""

import os
import re
from pathlib import Path
from typing import Final

from chronicle.model.errors import WorkspaceNotFoundError

HEAD: Final = "head.db"
"""Symbolic link to the database that is written."""

PARTIAL: Final = "fold.partial"
"""A fold that isn't finished; the next one goes on with it or begins anew."""

_SEGMENT: Final = re.compile(r"segment-(\d+)\.db")
_BESIDE: Final = ("-wal", "-shm", "-journal")


def current(directory: Path) -> str:
    """The file name of the database that is written.

    Raises:
        WorkspaceNotFoundError: there is no history here.
    """
    try:
        return os.readlink(directory / HEAD)
    except OSError:
        raise WorkspaceNotFoundError(str(directory)) from None


def point(directory: Path, name: str) -> None:
    """Makes `name` the database that is written, at once and for good."""
    beside = directory / f".{HEAD}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(name)
    beside.replace(directory / HEAD)
    sync(directory)


def sync(directory: Path) -> None:
    """Returns when the names in the directory are on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def next_segment(directory: Path) -> Path:
    """A name nobody had yet in this directory."""
    numbers = [int(match[1]) for name in os.listdir(directory) if (match := _SEGMENT.match(name))]
    return directory / f"segment-{max(numbers, default=0) + 1}.db"


def tidy(directory: Path, named: set[str]) -> None:
    """Removes what an ended process left half made: segments that no chain names, and logs of sealed ones.

    `named` are the segments of the chain, with the one that is written. Only for the one who writes.
    """
    written = current(directory)
    for name in os.listdir(directory):
        match = _SEGMENT.match(name)
        if match is None:
            continue
        is_beside = name.endswith(_BESIDE)
        if match[0] not in named or (is_beside and match[0] != written):
            (directory / name).unlink(missing_ok=True)


def remove_database(file: Path) -> None:
    """Removes a database with what lies beside it."""
    for suffix in ("", *_BESIDE):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
