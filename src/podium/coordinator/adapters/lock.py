"""One coordinator per data directory: two would write the same databases."""

import fcntl
import os
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "lock"
"""File in `{data}/coordinator` that the running coordinator holds locked; the lock goes with the process."""


class DirectoryInUseError(Exception):
    """Another coordinator runs on this data directory."""


class DirectoryLock:
    """Held from construction to `release` (or the end of the process).

    Raises:
        DirectoryInUseError: at construction.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handle = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            raise DirectoryInUseError("another coordinator runs on this data directory") from error

    def release(self) -> None:
        """Gives the directory back."""
        os.close(self._handle)
