"""A workspace made from the history that another host left, and from the contents that reached the remote tier."""

import threading
from pathlib import Path

import msgspec
import pytest

from chronicle.layout import Settings
from chronicle.model.changes import REGULAR, Change
from chronicle.model.errors import DamagedError, InvalidInputError, NotFoundError, StorageError
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.workspace import moving
from chronicle.workspace.library import Workspace
from tests.unit.chronicle.pool.remotes import MemoryRemote

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000


class Past:
    """What a lost host left: a history, and a remote tier with what had been brought there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.remote = MemoryRemote()
        self.settings = Settings(workspace_id="moved", created_at=NOW_MS)
        self._pool = Pool.open(directory / "lost-pool")
        self.history = History.create(directory / "past" / "history")

    def write(self, path: bytes, content: bytes, *, ago_minutes: float = 0.0, arrived: bool = True) -> int:
        """One file written so long ago; `arrived`: its content, with all its chunks, reached the remote tier."""
        at = NOW_MS - round(ago_minutes * MINUTE_MS)
        with self._pool.batch() as batch:
            stored = batch.add(content)
        if arrived:
            with self._pool.catalogue.reading() as connection:
                known = [row[0] for row in connection.execute("SELECT digest FROM object WHERE uploaded = 0")]
            for digest in known:
                body = self._pool.body(digest)
                assert body is not None
                self.remote.put_if_absent(digest, body)
        with self._pool.catalogue.transaction() as writer:
            writer.execute("UPDATE object SET uploaded = 1")
        with self.history.batch() as batch:
            batch.apply(Change("write", path, at, REGULAR | 0o640, at * 10**6, size=len(content), digest=stored.digest))
        return self.history.head

    def settle_down(self, name: str = "here") -> tuple[int, Workspace]:
        """The workspace on the new host."""
        self.history.close()
        self._pool.close()
        root, settings = self.directory / name, msgspec.json.encode(self.settings)
        at = moving.settle_down(self.directory / "past", settings, root, self.directory / "new-pool", None)
        return at, Workspace.open(root)


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    made = Past(tmp_path)
    opened = Pool.open

    def open_here(directory: Path) -> Pool:
        return opened(directory, remote=made.remote)

    for module in ("chronicle.workspace.moving", "chronicle.workspace.tiers"):
        monkeypatch.setattr(f"{module}.open_pool_at", open_here)
    return made


def test_when_everything_arrived_nothing_is_cut_and_no_content_is_fetched_before_it_is_read(past: Past) -> None:
    for number in range(300):
        past.write(b"file-%d" % number, b"content %d" % number)
    at, workspace = past.settle_down()
    with workspace:
        assert at == workspace.head == 300
        assert len(list(workspace.tree())) == 300
        assert past.remote.gets == 0
        assert workspace.read(b"file-7") == b"content 7"
        assert past.remote.gets == 1


@pytest.mark.noisy("contents_missing")
def test_a_history_is_cut_before_the_first_content_that_is_nowhere(past: Past) -> None:
    past.write(b"a", b"one")
    kept = past.write(b"a", b"two")
    past.write(b"b", b"never arrived", arrived=False)
    past.write(b"c", b"arrived later")
    at, workspace = past.settle_down()
    with workspace:
        assert at == workspace.head == kept
        assert [entry.path for entry in workspace.tree()] == [b"a"]
        assert [workspace.read(b"a", iteration=n) for n in (1, 2)] == [b"one", b"two"]


def test_a_large_file_counts_as_arrived_when_its_manifest_has(past: Past) -> None:
    content = bytes(range(256)) * 4 * 1024 * 20
    past.write(b"large", content)
    at, workspace = past.settle_down()
    with workspace:
        assert at == 1
        assert list(workspace.fsck()) == []
        assert past.remote.gets > 1
        spoilt = past.remote.order[0]
        whole = past.remote.bodies[spoilt]
        past.remote.bodies[spoilt] = whole[:-1] + bytes([whole[-1] ^ 1])
        (found,) = workspace.fsck()
        assert found.kind == "object-damaged"
        past.remote.bodies[spoilt] = whole
        assert workspace.read(b"large") == content


@pytest.mark.noisy("contents_missing")
def test_contents_are_looked_for_further_back_where_some_are_missing(past: Past) -> None:
    kept = past.write(b"old", b"arrived", ago_minutes=60)
    for ago in (12, 8, 4, 0):  # the remote tier was away for longer than what is doubted without a reason
        past.write(b"new", b"%d minutes ago" % ago, ago_minutes=ago, arrived=False)
    at, workspace = past.settle_down()
    with workspace:
        assert at == kept
        assert workspace.read(b"old") == b"arrived"


def test_old_contents_are_not_asked_for(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    exists = past.remote.exists

    def counted(digest: bytes) -> bool:
        asked.append(digest)
        return exists(digest)

    monkeypatch.setattr(past.remote, "exists", counted)
    for number in range(600):
        past.write(b"file-%d" % number, b"%d" % number, ago_minutes=60 if number < 500 else 1)
    at, workspace = past.settle_down()
    workspace.close()
    assert at == 600
    assert 100 <= len(set(asked)) < 400


def test_a_content_is_asked_for_once_and_many_at_once(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(8, timeout=10)
    asked: list[bytes] = []

    def slow(digest: bytes) -> bool:
        asked.append(digest)
        together.wait()  # returns when eight are being asked for at the same time
        return True

    monkeypatch.setattr(past.remote, "exists", slow)
    for _ in range(3):
        for number in range(16):
            past.write(b"file", b"%d" % number)
    _, workspace = past.settle_down()
    workspace.close()
    assert len(asked) == len(set(asked)) == 16


def test_while_the_remote_tier_is_away_nothing_is_made_and_later_it_can_be(past: Past) -> None:
    past.write(b"a", b"one")
    past.remote.away = True
    with pytest.raises(StorageError):
        past.settle_down()
    assert not (past.directory / "here").exists()
    past.remote.away = False
    at, workspace = past.settle_down()
    with workspace:
        assert at == 1
        assert workspace.read(b"a") == b"one"


def test_a_damaged_content_is_an_error_and_never_other_bytes(past: Past) -> None:
    past.write(b"a", b"one" * 1000)
    past.write(b"b", b"two")
    (first, second) = past.remote.order
    past.remote.bodies[first] = past.remote.bodies[first][:-1] + b"\xff"
    _, workspace = past.settle_down()
    with workspace:
        with pytest.raises(DamagedError):
            workspace.read(b"a")
        assert [(found.kind, found.where) for found in workspace.fsck()] == [
            ("object-damaged", f"object {first.hex()}")
        ]
        assert workspace.read(b"b") == b"two"
        del past.remote.bodies[second]
        assert workspace.read(b"b") == b"two"  # kept here when it was read


def test_a_content_that_vanishes_later_is_an_error(past: Past) -> None:
    past.write(b"a", b"one")
    _, workspace = past.settle_down()
    past.remote.bodies.clear()
    with workspace, pytest.raises((NotFoundError, DamagedError)):
        workspace.read(b"a")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (b"{", DamagedError),
        (msgspec.json.encode(Settings(workspace_id="x", format=1000)), InvalidInputError),
    ],
)
def test_settings_that_can_not_be_read_are_refused(past: Past, settings: bytes, error: type[Exception]) -> None:
    past.history.close()
    with pytest.raises(error):
        moving.settle_down(past.directory / "past", settings, past.directory / "here", past.directory / "pool", None)
    assert not (past.directory / "here").exists()


def test_a_place_without_a_history_is_refused(past: Past, tmp_path: Path) -> None:
    past.history.close()
    (tmp_path / "empty" / "history").mkdir(parents=True)
    with pytest.raises(DamagedError):
        moving.settle_down(
            tmp_path / "empty", msgspec.json.encode(past.settings), tmp_path / "here", tmp_path / "pool", None
        )
