import sqlite3
import threading
from pathlib import Path

import pytest

from podium.base.sqlite import (
    DatabaseDamagedError,
    DatabaseForeignError,
    DatabaseTooNewError,
    Migration,
    open_database,
    read_migrations,
    transaction,
)

OURS = 0x504F4401
FIRST = Migration(1, "first", "CREATE TABLE t (a INTEGER PRIMARY KEY); -- a; comment\nCREATE TABLE u (b TEXT);")
SECOND = Migration(
    2,
    "second",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (';'); DELETE FROM u WHERE b = 'x'; END;\n"
    "ALTER TABLE t ADD COLUMN c TEXT;",
)


def tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_new_file_gets_the_whole_schema_and_our_pragmas(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST, SECOND])
    assert tables(connection) == {"t", "u", "g"}
    assert pragma(connection, "user_version") == 2
    assert pragma(connection, "application_id") == OURS
    assert pragma(connection, "journal_mode") == "wal"
    assert pragma(connection, "synchronous") == 1
    assert pragma(connection, "foreign_keys") == 1
    assert pragma(connection, "busy_timeout") == 5000
    connection.close()


def test_full_synchronous_can_be_asked_for(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST], synchronous="FULL")
    assert pragma(connection, "synchronous") == 2
    connection.close()


def test_an_older_file_gets_only_what_is_missing(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST])
    connection.execute("INSERT INTO t VALUES (7)")
    connection.close()
    connection = open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST, SECOND])
    assert connection.execute("SELECT a, c FROM t").fetchall() == [(7, None)]
    connection.execute("INSERT INTO t VALUES (8, 'y')")
    assert connection.execute("SELECT b FROM u").fetchall() == [(";",)]
    connection.close()


def test_a_failing_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST]).close()
    broken = Migration(2, "broken", "CREATE TABLE v (d TEXT); CREATE TABLE t (again TEXT);")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST, broken])
    connection = open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST])
    assert tables(connection) == {"t", "u"}
    assert pragma(connection, "user_version") == 1
    connection.close()


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST, SECOND]).close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(DatabaseTooNewError, match=r"schema 2, this release knows up to 1") as caught:
        open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST])
    assert (caught.value.found, caught.value.known) == (2, 1)
    assert (tmp_path / "a.db").read_bytes() == before


def test_the_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_database(tmp_path / "a.db", application_id=OURS + 1, migrations=[FIRST]).close()
    plain = sqlite3.connect(tmp_path / "b.db")
    plain.execute("CREATE TABLE mine (x TEXT)")
    plain.close()
    for name in ("a.db", "b.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(DatabaseForeignError):
            open_database(tmp_path / name, application_id=OURS, migrations=[FIRST])
        assert (tmp_path / name).read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"certainly not a database, but long enough to be read as a header" * 20)
    with pytest.raises(DatabaseDamagedError):
        open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST])


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    def open_it() -> None:
        try:
            start.wait()
            open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST, SECOND]).close()
        except (sqlite3.Error, DatabaseForeignError) as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "a.db", application_id=OURS, migrations=[FIRST])
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.executemany("INSERT INTO t VALUES (?)", [(2,), (1,)])
    assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert not connection.in_transaction
    connection.close()


def test_migrations_are_read_in_order_from_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, names in {"good_schema": ["0002_b", "0001_a"], "gap_schema": ["0001_a", "0003_c"]}.items():
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        for name in names:
            (tmp_path / package / f"{name}.sql").write_text(f"CREATE TABLE {name[5:]} (x);")
    (tmp_path / "odd_schema").mkdir()
    (tmp_path / "odd_schema" / "first.sql").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert [(m.number, m.name) for m in read_migrations("good_schema")] == [(1, "a"), (2, "b")]
    with pytest.raises(ValueError, match="without gaps"):
        read_migrations("gap_schema")
    with pytest.raises(ValueError, match=r"NNNN_name\.sql"):
        read_migrations("odd_schema")
