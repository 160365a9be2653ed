"""What the files in `.chronicle/` say and do."""

import errno
import json
import os
import stat
import threading
from typing import Any, NamedTuple

import pytest

from chronicle.model.errors import IterationNotFoundError, StorageError
from chronicle.mount.magic import LOG_ITERATIONS, Magic
from chronicle.mount.virtual import (
    Deferred,
    VirtualDirectory,
    VirtualFile,
    VirtualNode,
    VirtualSymlink,
)
from tests.unit.chronicle.worktree.past import Past, Seen


class Done(NamedTuple):
    head: int
    paths: list[bytes]


class Acting:
    """Somebody who waits and restores, and writes down what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bytes]] = []
        self.may_go = threading.Event()
        self.fails: Exception | None = None

    def barrier(self) -> int:
        assert self.may_go.wait(10)
        return 42

    def restore(self, iteration: int, path: bytes = b"") -> Done:
        self.asked.append((iteration, path))
        if self.fails is not None:
            raise self.fails
        return Done(43, [path])


def node(magic: Magic, path: str) -> VirtualNode:
    here: VirtualNode | None = magic.root()
    for name in os.fsencode(path).split(b"/"):
        assert isinstance(here, VirtualDirectory)
        here = here.child(name)
        assert here is not None, path
    assert here is not None
    return here


def is_there(magic: Magic, path: str) -> bool:
    parent, _, name = path.rpartition("/")
    directory = node(magic, parent)
    assert isinstance(directory, VirtualDirectory)
    return directory.child(os.fsencode(name)) is not None


def awaited(answer: Any) -> Any:
    """What a deferred answer becomes; raises what it fails with."""
    if not isinstance(answer, Deferred):
        return answer
    came = threading.Event()
    got: list[tuple[Any, BaseException | None]] = []

    def callback(value: Any, error: BaseException | None) -> None:
        got.append((value, error))
        came.set()

    answer.then(callback)
    assert came.wait(10)
    value, error = got[0]
    if error is not None:
        raise error
    return value


def content(found: VirtualNode) -> bytes:
    assert isinstance(found, VirtualFile)
    opened = awaited(found.open())
    if isinstance(opened, int):
        with open(opened, "rb") as file:
            return os.pread(file.fileno(), 1 << 30, 0)
    assert isinstance(opened, bytes)
    return opened


def read(magic: Magic, path: str) -> bytes:
    return content(node(magic, path))


def write(magic: Magic, path: str, data: bytes) -> None:
    file = node(magic, path)
    assert isinstance(file, VirtualFile)
    awaited(file.write(data))


def walked(directory: VirtualDirectory, path: bytes = b"") -> dict[bytes, Seen]:
    found: dict[bytes, Seen] = {}
    for entry in directory.entries():
        child = directory.child(entry.name)
        assert child is not None
        here = path + b"/" + entry.name if path else entry.name
        attributes = child.attributes()
        assert attributes.cached
        assert stat.S_IFMT(attributes.mode) == stat.S_IFMT(entry.mode)
        mode = stat.S_IMODE(attributes.mode)
        if isinstance(child, VirtualDirectory):
            found[here] = ("directory", mode, None)
            found |= walked(child, here)
        elif isinstance(child, VirtualSymlink):
            found[here] = ("symlink", 0, child.target())
        else:
            data = content(child)
            assert attributes.size == len(data)
            found[here] = ("file", mode, (data, attributes.mtime_ns, {}))
    return found


def test_the_readme_names_every_file(magic: Magic) -> None:
    told = read(magic, "README")
    names = [entry.name for entry in magic.root().entries()]
    assert names == sorted(names, key=lambda name: (name != b"README", name))
    for name in names:
        assert name == b"README" or name in told
    assert node(magic, "README").attributes().size == len(told)


@pytest.mark.proves("CHR-MAGIC")
def test_every_moment_is_a_tree_that_can_be_walked(past: Past, magic: Magic) -> None:
    past.mkdir("d", 0o750)
    past.write("d/file", b"one", 0o640)
    past.symlink("d/link", "file")
    past.write("large", os.urandom(300_000))
    past.write("larger", os.urandom(17_000_000))
    past.write("empty", b"")
    past.write("d/file", b"two!")
    past.rename("moved", "d")
    past.delete("empty")
    for moment in range(past.history.head + 1):
        root = node(magic, f"at/{moment}")
        assert isinstance(root, VirtualDirectory)
        assert walked(root) == past.at(moment)


def test_moments_that_never_were_are_not_there(past: Past, magic: Magic) -> None:
    past.write("file", b"x")
    for name in ("2", "01", "-1", "x", "", "9" * 30, "1.0", "\u0661"):
        assert not is_there(magic, f"at/{name}")
    assert not is_there(magic, "at/1/missing")
    assert not is_there(magic, "at/0/file")
    assert is_there(magic, "at/1/file")


def test_head_and_named_moments_are_listed(past: Past, magic: Magic) -> None:
    past.write("file", b"1")
    with past.history.batch() as batch:
        batch.checkpoint(at=1, label="first", turn_id=None)
    past.write("file", b"2")
    past.write("file", b"3")
    moments = node(magic, "at")
    assert isinstance(moments, VirtualDirectory)
    assert [entry.name for entry in moments.entries()] == [b"1", b"3"]


def test_the_past_refuses_to_be_written(past: Past, magic: Magic) -> None:
    past.write("file", b"1")
    for path in ("at/1/file", "query/file", "head", "log", "barrier", "README"):
        with pytest.raises(OSError) as refused:
            write(magic, path, b"x")
        assert refused.value.errno == errno.EROFS


def test_a_content_that_was_given_up_is_no_data(past: Past, magic: Magic) -> None:
    past.change("write", "small", size=3, digest=bytes(32), mode=0o100644)
    past.change("write", "large", size=1_000_000, digest=bytes(32), mode=0o100644)
    for path in ("at/2/small", "at/2/large"):
        with pytest.raises(OSError) as refused:
            read(magic, path)
        assert refused.value.errno == errno.ENODATA


def test_a_query_tells_the_iterations_newest_first_through_renames(past: Past, magic: Magic) -> None:
    past.mkdir("d")
    past.write("d/file", b"one")
    past.write("d/file", b"two", turn_id="turn 7")
    past.rename("d/new", "d/file")
    told = json.loads(read(magic, "query/d/new"))
    assert told["path"] == "d/new"
    assert told["complete"] is True
    assert [(row["iteration"], row["kind"], row["path"]) for row in told["iterations"]] == [
        (4, "rename", "d/new"),
        (3, "modify", "d/file"),
        (2, "create", "d/file"),
    ]
    assert told["iterations"][0]["from"] == "d/file"
    assert told["iterations"][1]["turn_id"] == "turn 7"
    assert told["iterations"][1]["hash"] == past.history.history(b"d/file")[1].hash


def test_what_is_gone_can_be_queried_also_below_directories_that_are_gone(past: Past, magic: Magic) -> None:
    past.mkdir("d")
    past.mkdir("d/e")
    past.write("d/e/file", b"one")
    past.delete("d/e/file")
    past.delete("d/e")
    past.delete("d")
    told = json.loads(read(magic, "query/d/e/file"))
    assert [row["kind"] for row in told["iterations"]] == ["delete", "create"]
    assert told["iterations"][0]["hash"] is None
    assert not is_there(magic, "query/never")
    listed = node(magic, "query")
    assert isinstance(listed, VirtualDirectory)
    assert listed.entries() == []


def test_names_that_are_no_text_are_told_and_understood(past: Past, magic: Magic) -> None:
    past.write(b'a\xff"b', b"x")
    told = json.loads(read(magic, "query/" + os.fsdecode(b'a\xff"b')))
    assert os.fsencode(told["path"]) == b'a\xff"b'
    acting = Acting()
    magic.attach(acting)
    write(magic, "restore", json.dumps({"path": told["path"], "iteration": 1}).encode())
    assert acting.asked == [(1, b'a\xff"b')]


def test_the_log_has_the_newest_changes_first_and_head_the_number(past: Past, magic: Magic) -> None:
    for number in range(3):
        past.write("file", b"%d" % number)
    lines = [json.loads(line) for line in read(magic, "log").splitlines()]
    assert [line["iteration"] for line in lines] == [3, 2, 1]
    assert read(magic, "head") == b"3\n"
    with past.history.batch() as batch:
        for number in range(LOG_ITERATIONS):
            batch.apply(past.told("mkdir", f"d{number}"))
    assert len(read(magic, "log").splitlines()) == LOG_ITERATIONS


def test_the_barrier_is_answered_when_all_is_recorded(magic: Magic) -> None:
    acting = Acting()
    magic.attach(acting)
    barrier = node(magic, "barrier")
    assert isinstance(barrier, VirtualFile)
    answer = barrier.open()
    assert isinstance(answer, Deferred)
    came: list[object] = []
    answer.then(lambda value, error: came.append((value, error)))
    assert came == []
    acting.may_go.set()
    assert awaited(barrier.open()) == b"42\n"


def test_a_restore_is_done_and_told(magic: Magic) -> None:
    acting = Acting()
    magic.attach(acting)
    write(magic, "restore", b'{"path": "d/../file", "iteration": 7}'.replace(b"d/../", b"./d/"))
    write(magic, "restore", b'{"iteration": 0}\n')
    assert acting.asked == [(7, b"d/file"), (0, b"")]
    assert json.loads(read(magic, "restore")) == {"iteration": 0, "path": "", "head": 43, "changed": 1}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"42",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"iteration": "7"}',
        b'{"iteration": true}',
        b'{"iteration": -1}',
        b'{"iteration": 1.5}',
        b'{"iteration": 1, "path": 3}',
        b'{"iteration": 1, "paths": "x"}',
        b'{"iteration": 1, "path": "../x"}',
        b'{"iteration": 1, "path": "/etc/passwd"}',
        b'{"iteration": 1, "path": "a\\u0000b"}',
        b'{"iteration": 1, "path": ".chronicle/x"}',
        b'{"iteration": 1, "path": "\\ud83d"}',
    ],
)
def test_nonsense_is_refused_and_explained(magic: Magic, said: bytes) -> None:
    acting = Acting()
    magic.attach(acting)
    with pytest.raises(OSError) as refused:
        write(magic, "restore", said)
    assert refused.value.errno == errno.EINVAL
    assert read(magic, "restore").startswith(b"error: ")
    assert acting.asked == []


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (IterationNotFoundError(99, 3), errno.ENOENT),
        (StorageError("the disk is full of sand"), errno.EIO),
        (TimeoutError("not within 30 s"), errno.ETIMEDOUT),
        (RuntimeError("a mistake"), errno.EIO),
    ],
)
def test_a_restore_that_fails_says_why_when_it_is_read_back(magic: Magic, error: Exception, number: int) -> None:
    acting = Acting()
    acting.fails = error
    magic.attach(acting)
    with pytest.raises(OSError) as refused:
        write(magic, "restore", b'{"iteration": 99}')
    assert refused.value.errno == number
    assert read(magic, "restore") == f"error: {error}\n".encode()


def test_before_somebody_acts_one_is_asked_to_try_again(magic: Magic) -> None:
    for attempt in (lambda: read(magic, "barrier"), lambda: write(magic, "restore", b'{"iteration": 0}')):
        with pytest.raises(OSError) as refused:
            attempt()
        assert refused.value.errno == errno.EAGAIN
