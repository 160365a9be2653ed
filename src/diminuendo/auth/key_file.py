"""The file of API keys: read again when it changed, written by `diminuendo keys`."""

import fcntl
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from diminuendo.auth.api_keys import ApiKeys, KeyRecord, read_records
from diminuendo.auth.verified import Verified
from diminuendo.domain.members import Role
from podium.base.keys import make_key

_log = logging.getLogger(__name__)


class KeyFile:
    """The keys of a file as it is now (the `Keys` of `Callers`). One that is not there has none; one that can't be read any more
    leaves the keys as they were, and is logged."""

    def __init__(self, path: Path) -> None:
        """Reads it.

        Raises:
            OSError: it can't be read.
            ValueError: it holds something else.
        """
        self._path = path
        self._mark = _mark(path)
        self._keys = ApiKeys(known_keys(path))

    def identify(self, key: str, now_ms: int) -> Verified:
        """See `ApiKeys`."""
        mark = _mark(self._path)
        if mark != self._mark:
            self._mark = mark
            try:
                self._keys = ApiKeys(known_keys(self._path))
            except (OSError, ValueError) as error:
                _log.error("keys_unreadable", extra={"path": str(self._path)}, exc_info=error)
        return self._keys.identify(key, now_ms)


def add_key(
    path: Path, user_id: str, tenant_id: str, role: Role, email: str = "", expires_at: int | None = None
) -> tuple[str, KeyRecord]:
    """Makes a key and writes its hash into the file; returns the key, which is nowhere else, and what was written.

    Raises:
        OSError: the file can't be written.
        ValueError: it holds something else, or the tenant id is none.
    """
    made = make_key()
    record = KeyRecord(made.key_hash, user_id, tenant_id, role, email, expires_at, made.key_id)
    _change(path, lambda records: [*records, record])
    return made.key, record


def put_key(path: Path, record: KeyRecord) -> None:
    """Writes a key that exists, in place of what the file has of it.

    Raises:
        OSError: the file can't be written.
        ValueError: it holds something else.
    """
    _change(path, lambda records: [*(known for known in records if known.key_hash != record.key_hash), record])


def remove_key(path: Path, key_id: str) -> bool:
    """Takes a key back, by its public part; False when there is none.

    Raises:
        OSError: the file can't be written.
        ValueError: it holds something else.
    """
    found = any(record.key_id == key_id for record in known_keys(path))
    if found:
        _change(path, lambda records: [record for record in records if record.key_id != key_id])
    return found


def known_keys(path: Path) -> list[KeyRecord]:
    """What the file holds; nothing, where there is none.

    Raises:
        OSError: it can't be read.
        ValueError: it holds something else.
    """
    try:
        return read_records(path)
    except FileNotFoundError:
        return []


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _change(path: Path, change: Callable[[list[KeyRecord]], list[KeyRecord]]) -> None:
    """Replaces the file, whole or not at all; one writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = msgspec.json.format(msgspec.json.encode(change(known_keys(path))), indent=1)
        beside = path.with_name(f".{path.name}.new")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        os.close(lock)
