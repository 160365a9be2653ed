"""What is wrong with the files of a data directory."""

from collections.abc import Callable, Iterator
from pathlib import Path

from diminuendo.domain.ids import is_session_id
from diminuendo.storage.errors import StorageError
from diminuendo.storage.places import Places
from diminuendo.storage.session_store import SessionStore
from diminuendo.storage.writer import Timer
from podium.base.clock import SystemClock


def findings(data: Path) -> Iterator[str]:
    """Everything that is wrong with the databases of sessions, in words, with the session's id; nothing, if all is well.

    Databases a running Diminuendo has open can't be looked at, which is a finding, too.
    """
    places = Places(data)
    for path in sorted((data / "sessions").glob("*/session.db")):
        session_id = path.parent.name
        if not is_session_id(session_id):
            yield f"{session_id}: is no session"
            continue
        try:
            store = SessionStore.open(places.session(session_id), session_id, SystemClock(), _never, _ignored)
            try:
                yield from (f"{session_id}: {finding}" for finding in store.findings())
            finally:
                store.close()
        except StorageError as error:
            yield f"{session_id}: {error}"


def _never(_seconds: float, _call: Callable[[], None]) -> Timer:
    raise AssertionError("nothing is written here")


def _ignored(_error: StorageError) -> None:
    """Nothing is written here that could fail."""
