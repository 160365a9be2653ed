"""What every object store promises, run against each implementation."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
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
from podium.base.objects.s3 import S3Objects
from tests.contract.s3_server import S3Server, s3_settings

Open = Callable[[], ObjectStore]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all; tests keep apart by their prefixes."""
    running = S3Server(tmp_path_factory.mktemp("s3") / "data")
    try:
        running.start()
        yield running
    finally:
        running.stop()


# The client library closes its connections on threads of its own, now and then seconds after the store was closed.
LATE = pytest.mark.leaves("descriptors")


@pytest.fixture(params=["memory", "local", pytest.param("s3", marks=LATE)])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one of the implementations, empty at first; all it opens show the same objects."""
    match request.param:
        case "memory":
            kept = MemoryObjects(SystemClock())
            return lambda: kept
        case "local":
            return lambda: LocalObjects(tmp_path / "objects")
        case _:
            return bucket_of(request.getfixturevalue("server"), tmp_path)


@pytest.fixture
async def store(opens: Open) -> AsyncIterator[ObjectStore]:
    """One of the implementations, empty."""
    opened = opens()
    yield opened
    await opened.close()


def bucket_of(server: S3Server, directory: Path, **limits: float) -> Open:
    """Opens objects below a prefix of its own."""
    settings = s3_settings(server, prefix=f"test/{uuid.uuid4().hex}", limits=limits)
    return lambda: S3Objects(settings, SystemClock(), directory / "spool")


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
    for metadata in (
        {"Upper": "x"}, {"": "x"}, {"a b": "x"}, {"a": "é"}, {"a": "line\n"}, {"a": ""}, {"a": " x"}, {"a": "x" * 2000}
    ):  # fmt: skip
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


async def test_names_of_metadata_that_mean_something_to_http_are_names_like_others(store: ObjectStore) -> None:
    metadata = {
        "content-type": "x",
        "cache-control": "y",
        "storage-class": "z",
        "a_b": "1",
        "a-b": "2  3",
        "content-sha256": "4",
    }
    await store.put("k", _chunks(b"x"), metadata=metadata)
    assert (await store.head("k")).metadata == metadata


async def test_a_listing_tells_size_and_time_and_no_metadata(store: ObjectStore) -> None:
    await store.put("k/one", _chunks(b"12345"), metadata={"a": "b"})
    head = await store.head("k/one")
    assert [info async for info in store.list("k/")] == [msgspec.structs.replace(head, metadata={})]


@pytest.mark.parametrize(
    "key",
    ["a b", "a+b", "a~b", "a%41b", "%", "#?*", "a&b\"'", "{[^]}|`<>", "a:b@c;d=e,f$g!(h)", "..a", "é/日本", "x" * 200],
)
async def test_a_key_may_have_any_character_that_prints(store: ObjectStore, key: str) -> None:
    await store.put(f"k/{key}", _chunks(key.encode()))
    assert await _whole(store, f"k/{key}") == key.encode()
    assert [info.key async for info in store.list("k/")] == [f"k/{key}"]
    await store.delete(f"k/{key}")
    assert [info.key async for info in store.list("k/")] == []


async def test_more_than_a_page_is_listed_whole(store: ObjectStore) -> None:
    keys = [f"many/{number:04}" for number in range(1100)]
    for start in range(0, len(keys), 50):
        await asyncio.gather(*(store.put(key, _chunks(b"")) for key in keys[start : start + 50]))
    assert [info.key async for info in store.list("many/")] == keys
    assert [info.key async for info in store.list("many/10", after="many/1009")] == keys[1010:1100]


@pytest.mark.parametrize("create", [False, True])
async def test_a_large_object_is_put_and_got_whole(store: ObjectStore, create: bool) -> None:
    pieces = [bytes([number]) * 700_001 for number in range(30)]
    put = await store.put("large", _chunks(*pieces), metadata={"a": "b"}, create=create)
    head = await store.head("large")
    assert (put.size, head.size, head.metadata) == (30 * 700_001, 30 * 700_001, {"a": "b"})
    assert await _whole(store, "large") == b"".join(pieces)
    if create:
        with pytest.raises(ObjectExistsError):
            await store.put("large", _chunks(*pieces), create=True)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.proves("OBJECT-WHOLE-OR-NOTHING")
async def test_a_large_put_that_breaks_leaves_what_was_there(store: ObjectStore, create: bool) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 1_000_000
        raise ConnectionError("gone")

    if not create:
        await store.put("k", _chunks(b"before"))
    with pytest.raises(ConnectionError, match="gone"):
        await store.put("k", breaks(), create=create)
    assert [info.key async for info in store.list("")] == ([] if create else ["k"])
    assert create or await _whole(store, "k") == b"before"


async def test_who_stops_reading_leaves_nothing_open(store: ObjectStore) -> None:
    await store.put("k", _chunks(b"x" * 5_000_000))
    reading = store.get("k")
    assert len(await anext(reading)) > 0
    await reading.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["local", pytest.param("s3", marks=LATE)])
async def test_a_closed_store_answers_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    opens = bucket_of(request.getfixturevalue("server"), tmp_path) if kind == "s3" else lambda: LocalObjects(tmp_path)
    store = opens()
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
