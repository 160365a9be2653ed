"""Damage is found, and named by its session."""

import sqlite3
from pathlib import Path

from click.testing import CliRunner

from diminuendo.cli import diminuendo
from diminuendo.domain.events import TextDelta
from diminuendo.storage.places import Places
from diminuendo.storage.session_store import SessionStore
from podium.base.clock import ManualClock
from tests.unit.diminuendo.storage.test_session_store import SESSION, Never


def test_a_gap_is_found_and_nothing_where_nothing_is_wrong(tmp_path: Path) -> None:
    path = Places(tmp_path).session(SESSION)
    store = SessionStore.open(path, SESSION, ManualClock(), lambda *_: Never(), lambda _: None)
    for text in ("a", "b", "c"):
        store.append([TextDelta(session_id=SESSION, turn_id=None, text=text)], lambda _: None)
    running = CliRunner().invoke(diminuendo, ["check", "--data", str(tmp_path)])
    assert running.exit_code == 1
    assert "locked" in running.output
    store.close()
    sound = CliRunner().invoke(diminuendo, ["check", "--data", str(tmp_path)])
    assert (sound.exit_code, sound.output) == (0, "")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM event WHERE seq = 2")
    connection.close()
    damaged = CliRunner().invoke(diminuendo, ["check", "--data", str(tmp_path)])
    assert damaged.exit_code == 1
    assert damaged.output.startswith(f"{SESSION}: 2 events are numbered from 1 to 3")
