"""The list of a person's sessions: one small file each, in a directory that any number of processes use at once.

```text
{directory}/{session}.json      {"session_id", "agent_type", "cwd", "title", "updated_at"}, readable by its owner alone
```

A file is written beside its place and moved there: whoever reads it sees it whole, and of two who write one wins.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from diminuendo.acp.keeper import SessionView
from diminuendo.domain.ids import is_session_id

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class ShelfError(Exception):
    """The list can't be read or written; the message says why."""


class Shelf:
    """The sessions that lie in `directory`. A session's agent has the session's id."""

    def __init__(self, directory: Path) -> None:
        """Raises `ShelfError` when the directory can't be made."""
        self._directory = directory
        try:
            directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise ShelfError(f"{directory}: {error.strerror}") from error

    def put(self, session: SessionView) -> None:
        """Writes a session down, over what was there. Raises `ShelfError`."""
        path = self._path(session.session_id)
        beside = path.with_suffix(f".{os.getpid()}")
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE), "wb") as file:
                file.write(msgspec.json.encode(session._asdict()))
            beside.replace(path)
        except OSError as error:
            raise ShelfError(f"{path}: {error.strerror}") from error

    def find(self, session_id: str) -> SessionView | None:
        """The session, or None. Raises `ShelfError`."""
        return self._read(self._path(session_id)) if is_session_id(session_id) else None

    def all(self) -> list[SessionView]:
        """All of them, the one used last first. Raises `ShelfError`."""
        try:
            paths = [path for path in self._directory.glob("*.json") if is_session_id(path.stem)]
        except OSError as error:
            raise ShelfError(f"{self._directory}: {error.strerror}") from error
        found = [session for path in paths if (session := self._read(path)) is not None]
        return sorted(found, key=lambda session: (-session.updated_at, session.session_id))

    def remove(self, session_id: str) -> None:
        """Forgets a session; one that is not there is fine."""
        self._path(session_id).unlink(missing_ok=True)

    def _path(self, session_id: str) -> Path:
        return self._directory / f"{session_id}.json"

    def _read(self, path: Path) -> SessionView | None:
        try:
            read = msgspec.json.decode(path.read_bytes(), type=_File)
        except (FileNotFoundError, msgspec.DecodeError):
            return None  # removed just now, or nothing of ours
        except OSError as error:
            raise ShelfError(f"{path}: {error.strerror}") from error
        return SessionView(**msgspec.structs.asdict(read))


class _File(msgspec.Struct):
    session_id: str
    agent_type: str
    agent_id: str
    cwd: str
    title: str
    updated_at: int
