"""How connections to a history are set up."""

import sqlite3
from pathlib import Path

import pytest

from chronicle.store.history import schema


@pytest.mark.parametrize(("replicated", "pages"), [("", 1000), ("1", 0)])
def test_who_replicates_a_history_moves_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replicated: str, pages: int
) -> None:
    monkeypatch.setenv(schema.REPLICATED, replicated)
    connection = sqlite3.connect(tmp_path / "history.db")
    try:
        schema.prepare_writer(connection)
        assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (pages,)
    finally:
        connection.close()
