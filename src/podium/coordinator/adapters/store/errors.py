"""What can go wrong with an agent's databases, named by what to do about it."""

import sqlite3
from typing import ClassVar

from podium.base.sqlite import DatabaseFileError, DatabaseTooNewError


class StoreError(Exception):
    """A store refused or failed; nothing of the batch was kept. `database` is `state`, `messages`, `logs` or `catalog`."""

    advice: ClassVar[str] = "see the cause"

    def __init__(self, database: str, message: str) -> None:
        super().__init__(f"{database}: {message} ({self.advice})")
        self.database = database


class StoreConflictError(StoreError):
    """The caller asked for what does not fit the stored rows (a version out of order, an unknown message)."""

    advice = "a mistake of the caller; repeating it does not help"


class StoreClosedError(StoreError):
    """The store was closed."""

    advice = "open it again"


class StoreFullError(StoreError):
    """The disk or the quota is full."""

    advice = "free disk space, then try again"


class StoreBusyError(StoreError):
    """Another process holds the write lock."""

    advice = "end the other writer, then try again"


class StoreDamagedError(StoreError):
    """The file is no database, has damaged pages, or belongs to something else."""

    advice = "keep the file, run `podium doctor`, restore it from its replica or a backup"


class StoreTooNewError(StoreError):
    """A newer release wrote the file."""

    advice = "use that release"


class StoreUnavailableError(StoreError):
    """The file can't be opened, read or written."""

    advice = "check the disk and the permissions of the data directory"


_BY_CODE: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_FULL: StoreFullError,
    sqlite3.SQLITE_TOOBIG: StoreConflictError,
    sqlite3.SQLITE_CONSTRAINT: StoreConflictError,
    sqlite3.SQLITE_MISMATCH: StoreConflictError,
    sqlite3.SQLITE_BUSY: StoreBusyError,
    sqlite3.SQLITE_LOCKED: StoreBusyError,
    sqlite3.SQLITE_CORRUPT: StoreDamagedError,
    sqlite3.SQLITE_NOTADB: StoreDamagedError,
    sqlite3.SQLITE_SCHEMA: StoreDamagedError,
}
_PRIMARY_CODE = 0xFF


def store_error(database: str, error: sqlite3.Error | DatabaseFileError | OSError) -> StoreError:
    """The store error that `error` means; raise it `from error`."""
    if isinstance(error, DatabaseTooNewError):
        return StoreTooNewError(database, str(error))
    if isinstance(error, DatabaseFileError):
        return StoreDamagedError(database, str(error))
    if isinstance(error, OSError):
        return StoreUnavailableError(database, error.strerror or str(error))
    if isinstance(error, sqlite3.ProgrammingError):
        return StoreClosedError(database, str(error))
    code = getattr(error, "sqlite_errorcode", None)
    kind = _BY_CODE.get(code & _PRIMARY_CODE, StoreUnavailableError) if code is not None else StoreUnavailableError
    return kind(database, str(error))
