"""`mounts/` in the supervisor's directory: one file for each mount, so that the next supervisor finds what a killed one left."""

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from chronicle.model.errors import ChronicleError
from chronicle.mount import device

_log = logging.getLogger(__name__)


class Note(msgspec.Struct, frozen=True):
    """One mount."""

    workspace: str
    mountpoint: str


LEAVING_SECONDS: Final = 10.0
"""How long the workers of a supervisor that was killed may take to record everything and unmount by themselves."""

_POLL_SECONDS: Final = 0.02


def _is_mounted(mountpoint: Path) -> bool:
    return any(one.mountpoint == mountpoint for one in device.mounts())


def _wait_for_leaving(mountpoint: Path) -> None:
    end = time.monotonic() + LEAVING_SECONDS
    while _is_mounted(mountpoint) and not device.is_dead(mountpoint) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


class Notes:
    """The notes of one supervisor."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)

    def add(self, note: Note) -> None:
        """Written before anything is mounted."""
        path = self._path(note.mountpoint)
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(note))
        os.replace(beside, path)

    def remove(self, mountpoint: str) -> None:
        """Nothing is mounted there any more."""
        self._path(mountpoint).unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Takes away the mounts that a supervisor which was killed left, and the notes of all of them.

        Its workers, if they live, unmount by themselves; that is waited for.
        """
        for path, note in list(self._all()):
            mountpoint = Path(note.mountpoint)
            _wait_for_leaving(mountpoint)
            try:
                if device.is_dead(mountpoint) or _is_mounted(mountpoint):
                    device.unmount(mountpoint, lazy=True)
                    _log.info("a dead mount was taken away", extra={"mountpoint": note.mountpoint})
            except ChronicleError as error:
                _log.warning(
                    "a dead mount can't be taken away", extra={"mountpoint": note.mountpoint, "reason": str(error)}
                )
                continue
            path.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[Path, Note]]:
        for path in sorted(self._directory.iterdir()):
            try:
                yield path, msgspec.json.decode(path.read_bytes(), type=Note)
            except msgspec.DecodeError:
                path.unlink(missing_ok=True)

    def _path(self, mountpoint: str) -> Path:
        return self._directory / f"{hashlib.blake2b(os.fsencode(mountpoint), digest_size=12).hexdigest()}.json"
