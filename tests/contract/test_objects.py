"""What every object store promises, run against each implementation."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from podium.base.clock import SystemClock
from podium.base.objects import (
    ObjectExistsError,
    ObjectMissingError,
    ObjectStore,
    ObjectStoreUnavailableError,
)
from podium.base.objects.local import LocalObjects
from podium.base.objects.memory import MemoryObjects

MAKERS: dict[str, Callable[[Path], ObjectStore]] = {
    "memory": lambda _: MemoryObjects(SystemClock()),
    "local": LocalObjects,
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """One of the implementations, empty."""
    return MAKERS[request.param](tmp_path / "objects")


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _whole(store: ObjectStore, key: str) -> bytes:
    return b"".join([chunk async for chunk in store.get(key)])


@pytest.mark.parametrize("chunks", [(), (b"",), (b"one", b"two"), (b"x" * 3_000_000,)])
async def test_what_was_put_is_got_with_its_metadata(store: ObjectStore, chunks: tuple[bytes, ...]) -> None:
    put = await store.put("a/b/c.tar.gz", _chunks(*chunks), metadata={"sha256": "abc"})
    head = await store.head("a/b/c.tar.gz")
    assert (head.size, head.metadata, put.size) == (len(b"".join(chunks)), {"sha256": "abc"}, head.size)
    assert await _whole(store, "a/b/c.tar.gz") == b"".join(chunks)
    assert all([len(chunk) <= 1024 * 1024 async for chunk in store.get("a/b/c.tar.gz")])


async def test_a_second_put_replaces_and_a_creating_one_does_not(store: ObjectStore) -> None:
    await store.put("k", _chunks(b"first"))
    with pytest.raises(ObjectExistsError):
        await store.put("k", _chunks(b"other"), create=True)
    assert await _whole(store, "k") == b"first"
    await store.put("k", _chunks(b"second"))
    assert await _whole(store, "k") == b"second"


@pytest.mark.proves("OBJECT-CREATE-ONCE")
async def test_exactly_one_of_many_racing_creates_wins(store: ObjectStore) -> None:
    async def create(number: int) -> bool:
        try:
            await store.put("race", _chunks(str(number).encode() * 1000), create=True)
        except ObjectExistsError:
            return False
        return True

    won = await asyncio.gather(*map(create, range(16)))
    assert sum(won) == 1
    assert await _whole(store, "race") == str(won.index(True)).encode() * 1000


@pytest.mark.proves("OBJECT-WHOLE-OR-NOTHING")
async def test_an_interrupted_put_leaves_nothing(store: ObjectStore) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await store.put("k", breaks())
    with pytest.raises(ObjectMissingError):
        await store.head("k")
    assert [info async for info in store.list("")] == []


async def test_what_is_not_there_is_missing(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissingError):
        await store.head("no/such")
    with pytest.raises(ObjectMissingError):
        await _whole(store, "no/such")
    await store.delete("no/such")


async def test_listing_is_by_key_by_prefix_and_after_a_key(store: ObjectStore) -> None:
    for key in ("p/b", "p/a/x", "q/c", "p/ab"):
        await store.put(key, _chunks(b"x"))
    assert [info.key async for info in store.list("p/")] == ["p/a/x", "p/ab", "p/b"]
    assert [info.key async for info in store.list("p/a")] == ["p/a/x", "p/ab"]
    assert [info.key async for info in store.list("", after="p/ab")] == ["p/b", "q/c"]
    await store.delete("p/ab")
    assert [info.key async for info in store.list("p/")] == ["p/a/x", "p/b"]


async def test_a_key_may_be_the_beginning_of_another(store: ObjectStore) -> None:
    await store.put("a", _chunks(b"1"))
    await store.put("a/b", _chunks(b"2"))
    assert (await _whole(store, "a"), await _whole(store, "a/b")) == (b"1", b"2")


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\0b", "x" * 600])
async def test_what_is_no_key_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        await store.put(key, _chunks(b"x"))
    with pytest.raises(ValueError, match="no key"):
        await store.head(key)


async def test_metadata_no_store_could_keep_is_refused(store: ObjectStore) -> None:
    for metadata in ({"Upper": "x"}, {"": "x"}, {"a b": "x"}, {"a": "é"}, {"a": "line\n"}):
        with pytest.raises(ValueError, match="metadata"):
            await store.put("k", _chunks(b"x"), metadata=metadata)
    assert [info async for info in store.list("")] == []


async def test_who_reads_an_object_gets_it_whole_though_it_is_replaced_meanwhile(store: ObjectStore) -> None:
    await store.put("k", _chunks(b"1" * 3_000_000))
    reading = store.get("k")
    first = await anext(reading)
    await store.put("k", _chunks(b"2" * 10))
    await store.delete("k")
    assert first + b"".join([chunk async for chunk in reading]) == b"1" * 3_000_000


async def test_a_closed_store_answers_nothing(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)
    await store.check()
    await store.close()
    with pytest.raises(ObjectStoreUnavailableError):
        await store.head("k")


@pytest.mark.proves("OBJECT-CREATE-ONCE")
async def test_creates_race_across_processes_too(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom podium.base.objects.local import LocalObjects\n"
        "from podium.base.objects import ObjectExistsError\n"
        "async def data():\n    yield sys.argv[2].encode()\n"
        "async def main():\n    store = LocalObjects(Path(sys.argv[1]))\n    wins = 0\n    for n in range(50):\n"
        "        try:\n            await store.put(f'k{n}', data(), create=True)\n            wins += 1\n"
        "        except ObjectExistsError:\n            pass\n    print(wins)\nasyncio.run(main())\n"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)], stdout=subprocess.PIPE) for n in range(3)
    ]
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(won) == 50


@pytest.mark.proves("OBJECT-WHOLE-OR-NOTHING")
async def test_a_writer_killed_in_the_middle_leaves_nothing_anyone_sees(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom podium.base.objects.local import LocalObjects\n"
        "async def data():\n    yield b'x' * 3_000_000\n    print('half', flush=True)\n    await asyncio.sleep(60)\n"
        "asyncio.run(LocalObjects(Path(sys.argv[1])).put('k', data(), metadata={'a': 'b'}))\n"
    )
    store = LocalObjects(tmp_path)
    await store.put("k", _chunks(b"before"))
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.kill()
    assert await _whole(store, "k") == b"before"
    assert [info.key async for info in store.list("")] == ["k"]
