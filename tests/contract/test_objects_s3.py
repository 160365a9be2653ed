"""What only a server can get wrong: races between hosts, memory, damage, death, silence, refusal."""

import asyncio
import hashlib
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import obstore
import pytest

from podium.base.clock import SystemClock
from podium.base.objects import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStoreUnavailableError,
)
from podium.base.objects.s3 import PART_BYTES, S3Objects
from podium.base.objects.s3_settings import S3Settings
from podium.base.objects.spool import Spool
from tests.contract.s3_between import Between, swallow, tell_busy
from tests.contract.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, s3_settings, serving
from tests.waiting import free_port

# The client library closes its connections on threads of its own, now and then seconds after the store was closed.
pytestmark = [
    pytest.mark.noisy("podium.base.objects.s3 WARNING object_store_unavailable"),
    pytest.mark.leaves("descriptors"),
]

SHORT = {"operation_s": 3.0, "request_s": 1.0, "check_s": 1.0, "stall_s": 2.0, "retry_s": 2.0, "retries": 2}
"""Limits for tests of what does not answer."""

Opener = Callable[[S3Settings], S3Objects]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for those tests that let it live."""
    with serving(tmp_path_factory.mktemp("s3") / "data") as running:
        yield running


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[S3Server]:
    """A server of the test's own."""
    with serving(tmp_path / "mortal") as running:
        yield running


@pytest.fixture
async def opens(tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens stores and closes them."""
    opened: list[S3Objects] = []

    def open_one(settings: S3Settings) -> S3Objects:
        opened.append(S3Objects(settings, SystemClock(), tmp_path / "spool"))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def settings(server: S3Server) -> S3Settings:
    """A prefix of the test's own."""
    return s3_settings(server, f"test/{uuid.uuid4().hex}")


async def pieces(size: int, fill: bytes = b"x") -> AsyncIterator[bytes]:
    """`size` bytes in pieces of a MiB."""
    for start in range(0, size, 2**20):
        yield fill * min(2**20, size - start)


async def whole(store: S3Objects, key: str, after_each: Callable[[], None] = lambda: None) -> bytes:
    """The object; something is done after each chunk."""
    got = bytearray()
    async with aclosing(store.get(key)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            got += chunk
            after_each()
    return bytes(got)


# ── what lies in the bucket ──────────────────────────────────────────────────────────────────────────────────


async def test_an_object_lies_in_the_bucket_as_it_is_under_prefix_and_key(
    server: S3Server, settings: S3Settings, opens: Opener
) -> None:
    await opens(settings).put("a/b-1.0.0+x.tar.gz", pieces(10), metadata={"sha256": "abc"})
    found = obstore.get(server.client(), f"{settings.prefix}/a/b-1.0.0+x.tar.gz")
    assert bytes(found.bytes()) == b"x" * 10
    assert found.attributes["podium-sha256"] == "abc"
    assert found.attributes["content-sha256"] == hashlib.sha256(b"x" * 10).hexdigest()


async def test_what_others_put_into_the_bucket_is_read_too(
    server: S3Server, settings: S3Settings, opens: Opener
) -> None:
    obstore.put(server.client(), f"{settings.prefix}/k", b"by hand", attributes={"owner": "somebody"})
    store = opens(settings)
    assert await whole(store, "k") == b"by hand"
    assert (await store.head("k")).metadata == {}
    with pytest.raises(ObjectExistsError):
        await store.put("k", pieces(1), create=True)


@pytest.mark.parametrize("size", [1000, PART_BYTES + 1])
async def test_bytes_that_are_not_those_that_were_put_are_seen(
    server: S3Server, settings: S3Settings, opens: Opener, size: int
) -> None:
    store = opens(settings)
    await store.put("k", pieces(size), create=True)
    raw, key = server.client(), f"{settings.prefix}/k"
    kept = obstore.get(raw, key).attributes
    obstore.put(raw, key, b"x" * (size - 1) + b"y", attributes=kept, use_multipart=False)
    with pytest.raises(ObjectDamagedError, match="the object k is damaged"):
        await whole(store, "k")


# ── races ────────────────────────────────────────────────────────────────────────────────────────────────────

RACER = """
import asyncio, sys
from pathlib import Path
from podium.base.clock import SystemClock
from podium.base.objects import ObjectExistsError
from podium.base.objects.s3 import S3Objects
from tests.contract.s3_server import settings_at

async def data(size):
    for start in range(0, size, 2**20):
        yield sys.argv[3].encode() * min(2**20, size - start)

async def main():
    store = S3Objects(settings_at(sys.argv[1]), SystemClock(), Path(sys.argv[2]))
    wins = []
    for number in range(20):
        try:
            await store.put(f"k{number}", data(9 * 2**20 if number % 10 == 9 else 100), create=True)
            wins.append(number)
        except ObjectExistsError:
            pass
    await store.close()
    print(*wins)

asyncio.run(main())
"""


@pytest.mark.proves("OBJECT-CREATE-ONCE")
async def test_creates_race_across_hosts_and_exactly_one_wins(
    settings: S3Settings, opens: Opener, tmp_path: Path
) -> None:
    where = f"{settings.endpoint} {settings.bucket} {settings.prefix}"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, where, str(tmp_path / str(number)), str(number)], stdout=subprocess.PIPE
        )
        for number in range(3)
    ]
    won = {n: set(map(int, racer.communicate(timeout=120)[0].split())) for n, racer in enumerate(racers)}
    assert sorted(number for wins in won.values() for number in wins) == list(range(20))
    store = opens(settings)
    for racer, wins in won.items():
        assert {(await whole(store, f"k{number}"))[:1] for number in wins} <= {str(racer).encode()}


@pytest.mark.proves("OBJECT-CREATE-ONCE")
async def test_many_large_creates_race_in_one_process_and_one_wins(settings: S3Settings, opens: Opener) -> None:
    store = opens(settings)

    async def create(number: int) -> bool:
        try:
            await store.put("race", pieces(PART_BYTES + 5, str(number).encode()), create=True)
        except ObjectExistsError:
            return False
        return True

    won = await asyncio.gather(*map(create, range(6)))
    assert sum(won) == 1
    assert (await whole(store, "race"))[-1:] == str(won.index(True)).encode()


@pytest.mark.proves("OBJECT-CREATE-ONCE")
async def test_a_create_whose_answer_was_lost_is_not_told_that_another_was_first(
    settings: S3Settings, opens: Opener
) -> None:
    async with Between(settings, swallow("PUT", 1)) as between:
        made = await opens(between.settings).put("k", pieces(100), create=True)
        assert (made.size, between.struck) == (100, 1)
    assert await whole(opens(settings), "k") == b"x" * 100


async def test_what_a_busy_server_refused_is_asked_again(settings: S3Settings, opens: Opener) -> None:
    async with Between(settings, tell_busy(3)) as between:
        store = opens(between.settings)
        await store.put("k", pieces(100), create=True)
        assert between.struck == 3
        assert await whole(store, "k") == b"x" * 100


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────

HAULER = """
import asyncio, hashlib, sys, threading
from pathlib import Path
from podium.base.clock import SystemClock
from podium.base.objects.s3 import S3Objects
from tests.contract.s3_server import settings_at

def held():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon"))

peak, over = 0, threading.Event()
def watch():
    global peak
    while not over.wait(0.005):
        peak = max(peak, held())

async def data(digest):
    for number in range(160):
        piece = number.to_bytes(2, "big") * 2**19
        digest.update(piece)
        yield piece

async def main():
    store = S3Objects(settings_at(sys.argv[1]), SystemClock(), Path(sys.argv[2]))
    sent, got = hashlib.sha256(), hashlib.sha256()
    await store.put("k", data(sent), create=sys.argv[3] == "create")
    async for chunk in store.get("k"):
        got.update(chunk)
    await store.close()
    assert sent.digest() == got.digest()

before = held()
watcher = threading.Thread(target=watch)
watcher.start()
try:
    asyncio.run(main())
finally:
    over.set()
    watcher.join()
print((peak - before) // 1024)
"""


@pytest.mark.parametrize("how", ["create", "replace"])
async def test_a_large_object_goes_up_and_comes_down_through_little_memory(
    settings: S3Settings, tmp_path: Path, how: str
) -> None:
    where = f"{settings.endpoint} {settings.bucket} {settings.prefix}"
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HAULER, where, str(tmp_path / "spool"), how, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(done.communicate(), 120)
    assert done.returncode == 0
    assert int(said) < 72, f"{int(said)} MiB for 160"
    assert list((tmp_path / "spool").glob("*")) == []


async def test_a_body_has_a_largest_size_and_needs_room(tmp_path: Path) -> None:
    async with Spool(tmp_path, 3 * 2**20) as spool:
        with pytest.raises(ValueError, match="at most 3145728 bytes"):
            await spool.take(pieces(4 * 2**20))
    (tmp_path / "file").touch()
    with pytest.raises(ObjectStoreUnavailableError):
        async with Spool(tmp_path / "file", 1):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# ── death and silence ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("OBJECT-WHOLE-OR-NOTHING")
@pytest.mark.parametrize("create", [True, False])
async def test_a_server_killed_in_a_put_leaves_what_was_there_and_takes_the_next(
    mortal: S3Server, opens: Opener, create: bool
) -> None:
    async def killing() -> AsyncIterator[bytes]:
        async for piece in pieces(5 * PART_BYTES, b"2"):
            yield piece
        mortal.stop()
        yield b"last"

    store = opens(s3_settings(mortal, limits=SHORT))
    if not create:
        await store.put("k", pieces(3))
    with pytest.raises(ObjectStoreUnavailableError, match="the bucket podium: S3 can't be reached"):
        await store.put("k", killing(), create=create)
    mortal.start()
    store = opens(s3_settings(mortal))
    if create:
        with pytest.raises(ObjectMissingError):
            await store.head("k")
    else:
        assert await whole(store, "k") == b"xxx"
    await store.put("k", pieces(5 * PART_BYTES, b"3"), create=create)
    assert (await store.head("k")).size == 5 * PART_BYTES


async def test_a_server_killed_while_it_is_read_is_asked_for_the_rest_when_it_is_back(
    mortal: S3Server, opens: Opener
) -> None:
    size = 96 * 2**20
    store = opens(s3_settings(mortal, limits={"stall_s": 8.0}))
    await store.put("k", pieces(size))
    got = bytearray()
    async with aclosing(store.get("k")) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            if not got:
                mortal.stop()
                restart = asyncio.get_running_loop().run_in_executor(None, mortal.start)
            got += chunk
    await restart
    assert bytes(got) == b"x" * size


async def test_a_server_killed_while_it_is_read_and_gone_is_an_error(mortal: S3Server, opens: Opener) -> None:
    store = opens(s3_settings(mortal, limits=SHORT))
    await store.put("k", pieces(96 * 2**20))
    with pytest.raises(ObjectStoreUnavailableError, match=r"can't be reached|no answer"):
        await whole(store, "k", mortal.stop)


def everything(store: S3Objects) -> dict[str, Callable[[], Awaitable[object]]]:
    """Each thing that can be asked of a store."""

    async def listed() -> list[str]:
        return [info.key async for info in store.list("")]

    return {
        "head": lambda: store.head("k"),
        "get": lambda: whole(store, "k"),
        "list": listed,
        "check": store.check,
        "create": lambda: store.put("new", pieces(3), create=True),
        "create large": lambda: store.put("new", pieces(PART_BYTES + 3), create=True),
        "put": lambda: store.put("k", pieces(3)),
        "put large": lambda: store.put("k", pieces(4 * PART_BYTES)),
        "delete": lambda: store.delete("k"),
    }


@pytest.mark.parametrize(
    "asked", ["head", "get", "list", "check", "create", "create large", "put", "put large", "delete"]
)
async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    server: S3Server, settings: S3Settings, opens: Opener, asked: str
) -> None:
    quick = msgspec.convert({**SHORT, "operation_s": 0.5, "slowest_bytes_s": 2**27}, type(settings.limits))
    store = opens(msgspec.structs.replace(settings, limits=quick))
    await store.put("k", pieces(3))
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(ObjectStoreUnavailableError, match=r"the bucket podium: (no answer from S3|S3 can't)"):
            await everything(store)[asked]()
        assert time.monotonic() - began < 10
    finally:
        server.resume()
    store = opens(settings)
    if asked == "delete":  # what was sent may be done later
        await store.put("k", pieces(3))
    assert await whole(store, "k") in (b"xxx", b"x" * 4 * PART_BYTES)


async def test_a_server_that_stops_in_the_middle_of_an_object_is_not_waited_for_for_ever(
    mortal: S3Server, opens: Opener
) -> None:
    store = opens(s3_settings(mortal, limits=SHORT))
    await store.put("k", pieces(96 * 2**20))
    try:
        with pytest.raises(ObjectStoreUnavailableError, match=r"can't be reached|no answer"):
            await whole(store, "k", mortal.pause)
    finally:
        mortal.resume()
    assert len(await whole(store, "k")) == 96 * 2**20


async def test_a_put_that_is_cancelled_leaves_nothing(
    server: S3Server, settings: S3Settings, opens: Opener, tmp_path: Path
) -> None:
    store = opens(settings)
    begun = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        async for piece in pieces(3 * PART_BYTES):
            yield piece
        begun.set()
        await asyncio.Event().wait()

    for create in (True, False):
        begun.clear()
        putting = asyncio.get_running_loop().create_task(store.put("k", stalls(), create=create))
        await begun.wait()
        putting.cancel()
        await asyncio.wait({putting})
        assert putting.cancelled()
    assert [info.key async for info in store.list("")] == []
    assert list((tmp_path / "spool").glob("*")) == []


# ── refusal ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_wrong_credentials_are_told_clearly_and_without_the_secret(
    server: S3Server, opens: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    store = opens(s3_settings(server, secret="a-secret-nobody-may-see", limits=SHORT))
    for name, ask in everything(store).items():
        began = time.monotonic()
        with pytest.raises(ObjectStoreUnavailableError) as refused:
            await ask()
        said = f"{refused.value!r} {refused.value} {''.join(traceback.format_exception(refused.value))} {store!r}"
        assert "S3 refuses access (403" in said, name
        assert "check the credentials" in said
        assert not [word for word in ("nobody-may-see", ACCESS_KEY, SECRET_KEY, "StringToSign") if word in said], name
        assert time.monotonic() - began < 3, "a refusal is not repeated"
    told = [vars(record) for record in caplog.records if record.getMessage() == "object_store_unavailable"]
    assert [one["reason"] for one in told] == [
        "the bucket podium: S3 refuses access (403); check the credentials and their rights"
    ]
    assert "nobody-may-see" not in str(told) + caplog.text


async def test_a_bucket_that_is_not_there_is_told(server: S3Server, opens: Opener) -> None:
    store = opens(msgspec.structs.replace(s3_settings(server), bucket="no-such-bucket"))
    for ask in (everything(store)["check"], everything(store)["get"]):
        with pytest.raises(ObjectStoreUnavailableError, match="the bucket no-such-bucket: there is no such bucket"):
            await ask()


async def test_nobody_there_is_told(server: S3Server, opens: Opener) -> None:
    nowhere = msgspec.structs.replace(s3_settings(server, limits=SHORT), endpoint=f"http://127.0.0.1:{free_port()}")
    store = opens(nowhere)
    for name, ask in everything(store).items():
        with pytest.raises(ObjectStoreUnavailableError, match="the bucket podium: S3 can't be reached"):
            await ask()
        assert name
