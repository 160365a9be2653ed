"""What can go wrong with storage.

```
StorageError             a file can't be opened, read or written; `path` says which. The session or tenant can't be served now
├── SessionUnknownError  the registry has no such session
└── SessionExistsError   the registry has one with this id already
```
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podium.base.sqlite import DatabaseFileError


class StorageError(Exception):
    """A file can't be opened, read or written. `path` is the file."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path.name}: {message}")
        self.path = path


class SessionUnknownError(StorageError):
    """There is no such session."""


class SessionExistsError(StorageError):
    """There is a session with this id already."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns what SQLite and the file system raise into a `StorageError`."""
    try:
        yield
    except (sqlite3.Error, OSError, DatabaseFileError) as error:
        raise StorageError(path, str(error)) from error
