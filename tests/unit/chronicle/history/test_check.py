"""Each kind of damage is found, and nothing is found where none is."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from chronicle.model.changes import Change
from chronicle.store.history import History
from chronicle.store.history.check import check_directory
from tests.unit.chronicle.history.trees import Teller, digest


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A history in two segments: 1 mkdir d, 2 d/x, 3 d/y, 4 x modified | 5 mkdir e, 6 link, 7 rename, 8 delete."""
    directory = tmp_path / "history"
    with History.create(directory) as history:
        teller = Teller(history)
        teller.write(b"d/x", b"1")
        teller.write(b"d/y", b"1")
        teller.write(b"d/x", b"2")
        history.seal()
        teller.mkdir(b"e")
        teller.link(b"d/x", b"e/z")
        teller.rename(b"e", b"f")
        teller.delete(b"d/y")
        teller.checkpoint("end")
    return directory


def kinds(directory: Path) -> set[str]:
    return {finding.kind for finding in check_directory(directory)}


def damage(directory: Path, *statements: str, name: str = "head.db") -> None:
    """Changes rows as no Chronicle would."""
    connection = sqlite3.connect((directory / name).resolve(), isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def test_a_sound_history_has_no_findings(directory: Path) -> None:
    assert kinds(directory) == set()


NEWEST = (
    "INSERT INTO iteration SELECT 9, {kind}, {node}, {parent}, {path}, {source_parent}, {source}, at_ms, {mode}, 0, 0, "
    "{digest}, {target}, {xattrs}, null FROM iteration WHERE n=8"
)


def newest(**facts: str) -> str:
    usual = {
        "kind": "5",
        "node": "2",
        "parent": "1",
        "path": "x'64'",
        "source_parent": "null",
        "source": "null",
        "mode": "16877",
        "digest": "null",
        "target": "null",
        "xattrs": "null",
    }
    return NEWEST.format(**{**usual, **facts})


def test_the_row_that_the_damages_vary_is_sound_itself(directory: Path) -> None:
    damage(directory, newest())
    assert kinds(directory) == set()


@pytest.mark.proves("CHR-FSCK-FINDS")
@pytest.mark.parametrize(
    ("kind", "statements"),
    [
        ("gap", ["UPDATE iteration SET n=12 WHERE n=8", "UPDATE slot SET n=12 WHERE n=8"]),
        ("time-backwards", ["UPDATE iteration SET at_ms=1 WHERE n=8"]),
        ("unknown-kind", ["UPDATE iteration SET kind=99 WHERE n=8"]),
        ("node-number", ["UPDATE iteration SET node=60 WHERE n=5", "UPDATE slot SET node=60 WHERE n=5"]),
        ("dangling-node", [newest(node="77")]),
        ("dangling-node", [newest(node="4", path="x'642f79'", parent="2", mode="33188", digest="zeroblob(32)")]),
        ("dangling-parent", [newest(parent="55")]),
        ("wrong-path", ["UPDATE iteration SET path=x'712f7a' WHERE n=6"]),
        ("wrong-path", [newest(node="1", parent="0", path="x'78'")]),
        ("wrong-source", ["UPDATE iteration SET source=x'642f79' WHERE n=6"]),
        ("occupied", [newest(kind="6", node="10"), "INSERT INTO slot VALUES (1, x'64', 9, 10)"]),
        ("missing-slot", ["DELETE FROM slot WHERE n=8"]),
        ("wrong-slot", ["UPDATE slot SET node=4 WHERE n=8"]),
        ("slot-without-iteration", [newest(), "INSERT INTO slot VALUES (1, x'71', 9, 3)"]),
        ("orphans", [newest(kind="2"), "INSERT INTO slot VALUES (1, x'64', 9, null)"]),
        (
            "directory-twice",
            [
                newest(kind="8", path="x'67'", source_parent="1", source="x'64'"),
                "INSERT INTO slot VALUES (1, x'67', 9, 2)",
            ],
        ),
        (
            "cycle",
            [
                newest(kind="3", parent="2", path="x'642f64'", source_parent="1", source="x'64'"),
                "INSERT INTO slot VALUES (1, x'64', 9, null), (2, x'64', 9, 2)",
            ],
        ),
        ("attributes", ["UPDATE iteration SET mode=33188 WHERE n=5"]),
        ("attributes", ["UPDATE iteration SET digest=x'00' WHERE n=6"]),
        ("attributes", ["UPDATE iteration SET digest=null WHERE n=6"]),
        ("attributes", ["UPDATE iteration SET target=x'00' WHERE n=6"]),
        ("attributes", ["UPDATE iteration SET size=9 WHERE n=5"]),
        ("attributes", ["UPDATE iteration SET xattrs=x'ff' WHERE n=6"]),
        ("attributes", [newest(kind="1")]),
        ("attributes", [newest(kind="9", node="10", path="x'67'"), "INSERT INTO slot VALUES (1, x'67', 9, 10)"]),
        ("checkpoint-beyond-head", ["UPDATE checkpoint SET n=9"]),
        ("misplaced-row", ["UPDATE iteration SET n=2 WHERE n=8", "DELETE FROM slot WHERE n=8"]),
        ("meta", ["UPDATE meta SET value=-1 WHERE key='position'"]),
        ("meta", ["DELETE FROM meta WHERE key='base_at'"]),
        ("meta", ["UPDATE meta SET value=(SELECT 'segment-2.db') WHERE key='base'"]),
        ("cut-beyond-base", ["UPDATE meta SET value=6 WHERE key='base_at'"]),
        ("missing-segment", ["UPDATE meta SET value='segment-7.db' WHERE key='base'"]),
        ("damaged-database", ["PRAGMA application_id=1"]),
        ("damaged-database", ["INSERT INTO slot VALUES (1, x'71', 70, 3)"]),
    ],
)
def test_each_kind_of_damage_is_found(directory: Path, kind: str, statements: list[str]) -> None:
    damage(directory, *statements)
    assert kind in kinds(directory)


def overwrite_page(directory: Path) -> None:
    with (directory / "segment-1.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096))


def forge_index(directory: Path) -> None:
    damage(
        directory,
        "PRAGMA writable_schema=ON",
        "UPDATE sqlite_master SET sql='CREATE INDEX iteration_node ON iteration (n, node)' WHERE name='iteration_node'",
        name="segment-1.db",
    )


@pytest.mark.proves("CHR-FSCK-FINDS")
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("no-head", lambda directory: (directory / "head.db").unlink()),
        ("missing-segment", lambda directory: (directory / "segment-1.db").unlink()),
        ("damaged-database", lambda directory: (directory / "segment-1.db").write_bytes(b"no database" * 99)),
        ("damaged-database", overwrite_page),
        ("damaged-database", forge_index),
        ("leftover-segment", lambda directory: (directory / "segment-5.db").write_bytes(b"")),
    ],
)
def test_damage_to_files_is_found(directory: Path, kind: str, how: Callable[[Path], object]) -> None:
    how(directory)
    assert kind in kinds(directory)


def test_what_a_fork_does_not_see_of_its_base_is_no_finding(directory: Path, tmp_path: Path) -> None:
    with History.open(directory, writable=True) as history:
        history.fork(tmp_path / "fork", 6)
    with History.open(tmp_path / "fork", writable=True) as fork, fork.batch() as batch:
        batch.apply(Change("write", b"e/new", 9**15, mode=0o100644, size=1, digest=digest(b"1")))
    assert kinds(tmp_path / "fork") == set()
