"""The remote tier in a real S3 server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import obstore
import pytest
from obstore.store import S3Store

from chronicle.model.errors import StorageError
from chronicle.store.pool import Pool, S3Remote, S3Settings, Stored, Uploader, check
from tests.system.chronicle.remote.weed import ACCESS_KEY, SECRET_KEY, Weed
from tests.unit.chronicle.pool.contents import flip, flip_packed, loose_file, noise, put
from tests.unit.chronicle.pool.remotes import keeps_the_contract
from tests.waiting import free_port

pytestmark = pytest.mark.proves("CHR-REMOTE")

CONTENTS = [b"", noise(300), noise(60_000), bytes(100_000), noise(6_000_000)]


@contextmanager
def uploading(pool: Pool) -> Iterator[Uploader]:
    uploader = Uploader(pool)
    uploader.start()
    try:
        yield uploader
    finally:
        uploader.stop(30)


@contextmanager
def opened(directory: Path, settings: S3Settings) -> Iterator[Pool]:
    pool = Pool.open(directory, remote=S3Remote(settings))
    try:
        yield pool
    finally:
        pool.close()


def stored_in(directory: Path, settings: S3Settings) -> list[Stored]:
    """Stores the contents and has them in S3."""
    with opened(directory, settings) as pool, uploading(pool) as uploader:
        stored = put(pool, *CONTENTS)
        uploader.drain(60)
        assert uploader.lag().objects == 0
    return stored


def test_s3_keeps_the_contract_of_a_remote_tier(settings: S3Settings) -> None:
    keeps_the_contract(S3Remote(settings))


def test_objects_lie_in_s3_under_their_hashes(tmp_path: Path, settings: S3Settings) -> None:
    stored = stored_in(tmp_path / "here", settings)
    store = S3Store(
        settings.bucket,
        endpoint=settings.endpoint,
        region="us-east-1",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
    )
    keys = {entry["path"] for page in obstore.list(store, settings.prefix) for entry in page}
    with opened(tmp_path / "here", settings) as pool:
        for one in stored:
            key = f"{settings.prefix}{one.digest.hex()[:2]}/{one.digest.hex()}"
            assert key in keys
            assert bytes(obstore.get(store, key).bytes()) == pool.body(one.digest)


def test_another_host_reads_everything_through_s3(tmp_path: Path, settings: S3Settings) -> None:
    stored = stored_in(tmp_path / "here", settings)
    with opened(tmp_path / "there", settings) as pool:
        assert [pool.read(one.digest) for one in stored] == CONTENTS
        assert list(check(pool)) == []
    pool = Pool.open(tmp_path / "there")
    assert [pool.read(one.digest) for one in stored] == CONTENTS
    pool.close()


@pytest.mark.proves("CHR-VERIFIED")
def test_damage_is_healed_from_s3(tmp_path: Path, settings: S3Settings) -> None:
    _, packed, loose, *_, large = stored_in(tmp_path / "here", settings)
    with opened(tmp_path / "here", settings) as pool:
        flip_packed(pool, packed.digest)
        flip(loose_file(pool, loose.digest), 5)
        flip_packed(pool, large.digest)
        assert all("reading it mends it" in finding.message for finding in check(pool))
        assert [pool.read(one.digest) for one in (packed, loose, large)] == [CONTENTS[1], CONTENTS[2], CONTENTS[4]]
        assert list(check(pool)) == []


UPLOAD = """
import os, sys
from pathlib import Path
import msgspec
from chronicle.store.pool import Pool, S3Remote, S3Settings, Uploader
pool = Pool.open(Path(sys.argv[1]), remote=S3Remote(msgspec.json.decode(sys.argv[2], type=S3Settings)))
uploader = Uploader(pool)
uploader.start()
while uploader.lag().objects > int(sys.argv[3]):
    pass
os.write(1, b"enough")
sys.stdin.read()
"""


def test_uploading_goes_on_where_a_killed_process_was(tmp_path: Path, settings: S3Settings) -> None:
    pool = Pool.open(tmp_path / "pool")
    stored = put(pool, *(noise(400, seed) for seed in range(400)))
    pool.close()
    for left in (300, 150):
        process = subprocess.Popen(
            [sys.executable, "-c", UPLOAD, str(tmp_path / "pool"), msgspec.json.encode(settings).decode(), str(left)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(6) == b"enough"
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    with opened(tmp_path / "pool", settings) as pool, uploading(pool) as uploader:
        uploader.drain(60)
    with opened(tmp_path / "elsewhere", settings) as pool:
        assert all(pool.contains(one.digest) for one in stored)
        assert pool.read(stored[399].digest) == noise(400, 399)


@pytest.mark.noisy("can't be brought to the remote tier")
def test_uploading_waits_for_a_server_that_is_away(tmp_path: Path) -> None:
    server = Weed(tmp_path / "late")
    try:
        with opened(tmp_path / "pool", server.settings()) as pool, uploading(pool) as uploader:
            stored = put(pool, noise(500))
            with pytest.raises(TimeoutError):
                uploader.drain(2)
            with pytest.raises(StorageError):
                pool.read(bytes(32))
            assert pool.read(stored[0].digest) == noise(500)
            server.start()
            uploader.drain(40)
            assert uploader.failure is None or uploader.lag().objects == 0
            assert pool.remote is not None
            assert pool.remote.exists(stored[0].digest)
    finally:
        server.stop()


def test_a_refusal_is_a_storage_error_that_says_why(settings: S3Settings) -> None:
    wrong = S3Remote(msgspec.structs.replace(settings, secret_access_key="not the secret"))
    nobody = S3Remote(msgspec.structs.replace(settings, endpoint=f"http://127.0.0.1:{free_port()}", retries=0))
    for remote in (wrong, nobody):
        for call in (remote.get, remote.exists, lambda digest, remote=remote: remote.put_if_absent(digest, b"\x00")):
            with pytest.raises(StorageError, match="bucket chronicle"):
                call(os.urandom(32))
