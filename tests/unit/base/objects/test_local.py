"""What only the directory can get wrong: crashes, damage, full disks, leftovers."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.base.objects import ObjectMissingError, ObjectStoreUnavailableError
from podium.base.objects.files import LEFTOVER_SECONDS
from podium.base.objects.local import LocalObjects


async def _data(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _making(root: Path) -> list[Path]:
    return list((root / "making").iterdir())


def _abandoned(root: Path, name: str) -> Path:
    path = root / "making" / name
    path.write_bytes(b"half")
    old = path.stat().st_mtime - LEFTOVER_SECONDS - 1
    os.utime(path, (old, old))
    return path


async def test_the_file_begins_with_the_object_itself(tmp_path: Path) -> None:
    await LocalObjects(tmp_path).put("a/b.tar.gz", _data(b"bytes"), metadata={"sha256": "abc"})
    written = (tmp_path / "objects/a/b.tar.gz.object").read_bytes()
    assert written == b'bytes{"sha256":"abc"}' + (16).to_bytes(4, "big") + b"PodObj\x00\x01"


async def test_leftovers_of_crashed_writers_go_and_those_being_written_stay(tmp_path: Path) -> None:
    LocalObjects(tmp_path)
    crashed, held = _abandoned(tmp_path, "crashed"), _abandoned(tmp_path, "held")
    young = tmp_path / "making" / "young"
    young.write_bytes(b"half")
    with held.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        LocalObjects(tmp_path)
    assert not crashed.exists()
    assert held.exists()
    assert young.exists()


@pytest.mark.proves("OBJECT-WHOLE-OR-NOTHING")
async def test_a_cancelled_put_leaves_no_file(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)
    begun = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        begun.set()
        await asyncio.Event().wait()

    putting = asyncio.get_running_loop().create_task(store.put("k", stalls()))
    await begun.wait()
    assert len(_making(tmp_path)) == 1
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert _making(tmp_path) == []
    with pytest.raises(ObjectMissingError):
        await store.head("k")


@pytest.mark.parametrize("damage", [b"", b"short", b"no mark at the end of this file"])
async def test_a_damaged_file_is_told_from_a_missing_one(tmp_path: Path, damage: bytes) -> None:
    store = LocalObjects(tmp_path)
    await store.put("k", _data(b"bytes"))
    (tmp_path / "objects/k.object").write_bytes(damage)
    with pytest.raises(ObjectStoreUnavailableError, match="damaged"):
        await store.head("k")


async def test_a_root_that_can_not_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ObjectStoreUnavailableError, match="Not a directory"):
        LocalObjects(tmp_path / "file" / "below")


async def test_a_disk_that_refuses_is_told_as_the_stores_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalObjects(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ObjectStoreUnavailableError, match="No space left"):
        await store.put("k", _data(b"bytes"))
    monkeypatch.undo()
    assert _making(tmp_path) == []
    with pytest.raises(ObjectMissingError):
        await store.head("k")


async def test_names_that_sort_before_the_slash_are_listed_in_their_place(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)
    keys = sorted(["a/b", "a-b", "a.b", "a", "a0", "a/b/c", "a/b-c"])
    for key in keys:
        await store.put(key, _data(b"x"))
    assert [info.key async for info in store.list("")] == keys
    assert [info.key async for info in store.list("a/b")] == ["a/b", "a/b-c", "a/b/c"]
