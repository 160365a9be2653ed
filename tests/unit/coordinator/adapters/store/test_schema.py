import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from podium.base.sqlite import Migration, read_migrations
from podium.coordinator.adapters.store.database import KINDS, Kind, connect, open_file
from tests.unit.coordinator.adapters.store.writing import FILES, INSTANCE, Opened

PACKAGES = [*(kind.package for kind in KINDS), "podium.coordinator.adapters.catalog.schema"]
COLUMN = re.compile(r"\s+(\w+)\s+(?:TEXT|INTEGER|BLOB|REAL)\b")


def columns_without_comment(script: str) -> list[str]:
    """Column definitions with no comment on their line."""
    lines = [line for line in script.splitlines() if COLUMN.match(line)]
    return [line.strip() for line in lines if "--" not in line]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_column_is_explained_where_it_is_made(package: str) -> None:
    migrations = read_migrations(package)
    assert any(COLUMN.search(line) for migration in migrations for line in migration.script.splitlines())
    for migration in migrations:
        assert columns_without_comment(migration.script) == [], migration.name


def test_a_column_without_a_comment_would_be_found() -> None:
    assert columns_without_comment("CREATE TABLE t (\n  a TEXT, -- why\n  b INTEGER\n);") == ["b INTEGER"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_is_told_by_its_header(tmp_path: Path, kind: Kind) -> None:
    open_file(kind, tmp_path).close()
    header = (tmp_path / kind.path).read_bytes()[:100]
    assert int.from_bytes(header[68:72], "big") == kind.application_id
    assert int.from_bytes(header[60:64], "big") == len(read_migrations(kind.package))
    assert header[18:20] == b"\x02\x02"


def test_the_databases_have_the_settings_the_spec_names(opened: Opened) -> None:
    store = opened()
    wanted = {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 5000, "foreign_keys": 1, "wal_autocheckpoint": 0}
    for database in store._files.values():
        assert {name: database.value(f"PRAGMA {name}") for name in wanted} == wanted


@pytest.mark.proves("STORE-MIGRATIONS-FORWARD")
@pytest.mark.parametrize("name", FILES)
def test_an_older_file_is_brought_forward_in_one_step_per_migration(
    opened: Opened, directory: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store = opened()
    with store.batch() as batch:
        batch.event("stream_update", b"{}", instance_id=INSTANCE)
    store.close()
    kind = next(kind for kind in KINDS if kind.name == name)
    more = Migration(len(read_migrations(kind.package)) + 1, "more", "CREATE TABLE later (a TEXT);")
    broken = Migration(more.number + 1, "broken", "CREATE TABLE last (a TEXT); CREATE TABLE later (b TEXT);")
    migrations = [*read_migrations(kind.package), more, broken]
    monkeypatch.setattr("podium.coordinator.adapters.store.database.read_migrations", lambda _: migrations)
    with pytest.raises(Exception, match="already exists"):
        connect(kind, directory / kind.path)
    with closing(sqlite3.connect(directory / kind.path)) as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (more.number,)
        tables = {row[0] for row in plain.execute("SELECT name FROM sqlite_master")}
        plain.execute(f"PRAGMA user_version = {more.number - 1}")
        plain.execute("DROP TABLE later")
        plain.commit()
    assert "later" in tables
    assert "last" not in tables
    monkeypatch.undo()
    assert opened().head_seq == 1
