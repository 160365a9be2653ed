"""Small parts of the mount: values that come later, the memory for a successor, the quota's count, kernels' clocks."""

import os
import threading
from pathlib import Path

import pytest

from chronicle.mount import host
from chronicle.mount.notes import COARSE_NS, granularity_ns
from chronicle.mount.quota import DIRECTORY_BYTES, ENTRY_BYTES, Quota
from chronicle.mount.takeover import Agreed, Remembered, TakeoverMemory
from chronicle.mount.virtual import Deferred


def test_a_deferred_value_reaches_who_asked_before_and_who_asks_after() -> None:
    told: list[object] = []
    early: Deferred[int] = Deferred()
    early.then(lambda value, error: told.append((value, error)))
    early.resolve(1)
    early.resolve(2)
    late: Deferred[int] = Deferred()
    failure = OSError(5, "no")
    late.fail(failure)
    late.then(lambda value, error: told.append((value, error)))
    assert told == [(1, None), (None, failure)]


def test_a_successor_knows_what_its_predecessor_knew() -> None:
    first = TakeoverMemory.new()
    try:
        first.agree(Agreed(45, 1 << 40, 4096, 1 << 20))
        numbers = [first.allocate() for _ in range(10_000)]
        for at, number in enumerate(numbers):
            first.put(number, 100 + at, 1, 0, 0)
        first.put(numbers[5], 105, 3, 7, 2)
        first.clear(numbers[6])
        first.put(1, 4711, 1, 0, 0)  # the root needs no record
        second = first.successor()
        assert second.generation == first.generation + 1
        assert second.agreed == Agreed(45, 1 << 40, 4096, 1 << 20)
        known = {node.node: node for node in second.nodes()}
        assert len(known) == 9_999
        assert known[numbers[5]] == Remembered(numbers[5], 105, 3, 7, 2)
        assert numbers[6] not in known
        fresh = {second.allocate(), second.allocate()}
        assert not fresh & set(numbers), "no number comes twice"
        second.close()
    finally:
        first.close_descriptor()


def test_memory_of_something_else_is_refused() -> None:
    fd = os.memfd_create("other")
    os.ftruncate(fd, 4096)
    with pytest.raises(ValueError):
        TakeoverMemory(fd)
    os.close(fd)


def test_a_tree_is_counted_with_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/one").write_bytes(bytes(1000))
    os.link(tmp_path / "d/one", tmp_path / "two")
    os.symlink("x" * 500, tmp_path / "link")
    (tmp_path / "three").write_bytes(bytes(10))
    entries = DIRECTORY_BYTES + 3 * ENTRY_BYTES
    quota = Quota(entries + 2000)
    quota.count(tmp_path, threading.Event())
    assert quota.used == entries + 1010
    quota.require(990)
    with pytest.raises(OSError):
        quota.require(991)
    quota.changed(1000, 0)
    quota.require(1990)
    Quota(None).require(1 << 60)


def test_a_count_that_is_not_needed_any_more_ends(tmp_path: Path) -> None:
    quota = Quota(10)
    ending = threading.Event()
    ending.set()
    quota.count(tmp_path, ending)
    assert quota.used == 0


@pytest.mark.parametrize(
    ("release", "expected"),
    [("6.18.44-fc", 0), ("6.13", 0), ("6.12.1-arch1", COARSE_NS), ("5.15.0-100-generic", COARSE_NS), ("7.0-rc1", 0)],
)
def test_older_kernels_clocks_are_coarse(release: str, expected: int) -> None:
    assert granularity_ns(release) == expected


def test_a_directory_is_listed_in_parts_from_any_offset(tmp_path: Path) -> None:
    for n in range(200):
        (tmp_path / f"file-{n}").touch()
    seen: list[bytes] = []
    offset = 0
    while part := host.list_directory(bytes(tmp_path), offset, 1024):
        seen += [entry.name for entry in part]
        offset = part[-1].offset
    assert sorted(seen) == sorted([b".", b"..", *(b"file-%d" % n for n in range(200))])


def test_a_thread_inside_the_tree_leaves_the_others_where_they_are(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    here, mask = os.getcwd(), os.umask(0o027)
    found: list[object] = []

    def inside() -> None:
        with host.Inside(root):
            os.mkdir("made", 0o777)
            found.append(Path.cwd())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    os.close(root)
    assert found == [tmp_path]
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o777
    assert os.getcwd() == here
    assert os.umask(mask) == 0o027
