"""The files of an agent whose host is lost: there at once, whole, its own, with all their versions; or clearly missing, never wrong."""

import asyncio
import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import obstore
import pytest

from tests.system.api import Caller
from tests.system.cluster.cluster import Cluster
from tests.system.daemons import Daemons
from tests.waiting import wait_until

RUNNER = """
import asyncio
import errno
import json
import os
from podium.agent import BaseAgent


class Agent(BaseAgent):
    async def on_message(self, ctx, message):
        space = {}
        try:
            await asyncio.to_thread(exec, message["text"], space)
            result = space.get("result")
        except OSError as error:
            result = {"errno": error.errno}
        reply = await ctx.send_message()
        await reply.stream_token(json.dumps(result), final=True)
"""

EXCLUDE = '\n[workspace]\nexclude = ["scratch/"]\n'
SYNC = {"limits": {"durability": "sync"}}
"""A turn whose end was told is outside its host with all its files: the tests below kill the host right then."""

FILES = 2000

LARGE = 9 * 2**20

pytestmark = pytest.mark.leaves("processes", "descriptors")  # lost hosts are started again for the tests that follow


class Moving:
    """An agent that does to its files what it is told, wherever it is."""

    def __init__(self, cluster: Cluster, calls: Caller, made: dict[str, Any]) -> None:
        self.cluster = cluster
        self.calls = calls
        self.agent_id = str(made["agent_id"])
        self.instance_id = str(made["instance_id"])
        self.base = f"/api/v1/instances/{self.instance_id}"
        self.host = cluster.named(made["coordinator_id"])
        self.spoil: Callable[[], None] = lambda: None
        self.claimed_and_listed = 0.0

    @property
    def other(self) -> Daemons:
        """The host it is not on."""
        return next(host for host in self.cluster.hosts if host is not self.host)

    async def run(self, code: str) -> tuple[Any, str]:
        """What `result` is after the code ran in the agent's workspace, and the turn."""
        answer = await self.calls("POST", f"{self.base}/messages?wait=true", json={"text": code})
        assert answer.status == 200, answer.text
        return json.loads(answer.body["text"]), answer.body["turn_id"]

    async def history(self, path: str) -> list[dict[str, Any]]:
        """All iterations of a file, newest first."""
        answer = await self.calls("GET", f"{self.base}/files/{path}/history")
        assert answer.status == 200, answer.text
        return list(answer.body["iterations"])

    async def head(self) -> int:
        """The newest iteration."""
        answer = await self.calls("GET", f"{self.base}/files")
        assert answer.status == 200, answer.text
        return int(answer.body["iteration"])

    @asynccontextmanager
    async def lost_host(self) -> AsyncIterator[None]:
        """Its host is lost, and another has gone on with it; the host comes back when the block is left. `spoil` is called in between."""
        lost = self.host
        lost.kill("coordinator")
        try:
            await self.cluster.alive(self.calls, 1)
            self.spoil()
            self.host = next(host for host in self.cluster.hosts if host is not lost)
            self.claimed_and_listed = await self._claimed("files?path=dir-7")
            yield
        finally:
            lost.start("coordinator")
            await self.cluster.alive(self.calls, 2)

    async def _claimed(self, path: str) -> float:
        """How long it took, once its lease could be claimed, until it was claimed and restored and this was answered."""
        while True:
            began = time.perf_counter()
            answer = await self.calls("GET", f"{self.base}/{path}")
            if answer.status != 503:
                return time.perf_counter() - began
            await asyncio.sleep(0.2)

    def object_key(self, digest: str) -> str:
        """Where a content is in the bucket."""
        return f"contents/{digest[:2]}/{digest}"


@pytest.fixture
async def deployment(calls: Caller, tmp_path: Path) -> str:
    """A runner of this test's own."""
    name = f"runner-{uuid.uuid4().hex[:6]}"
    return await calls.deploy(tmp_path / name, name, RUNNER, extra=EXCLUDE)


@pytest.fixture
async def moving(cluster: Cluster, calls: Caller, deployment: str) -> Moving:
    """An agent whose turns are outside its host when they end."""
    return Moving(cluster, calls, await calls.create(deployment, **SYNC))


def contents_in(host: Daemons) -> int:
    """How many contents a host has of all tenants."""
    count = 0
    for database in (host.data / "chronicle" / "pools").glob("*/objects.db"):
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            count += connection.execute("SELECT count(*) FROM object").fetchone()[0]
        connection.close()
    return count


async def test_thousands_of_files_are_there_at_once_and_their_contents_come_when_they_are_read(moving: Moving) -> None:
    made, _ = await moving.run(
        "import os\n"
        f"for number in range({FILES}):\n"
        "    os.makedirs(f'dir-{number % 20}', exist_ok=True)\n"
        "    open(f'dir-{number % 20}/file-{number}', 'w').write(f'content of {number}')\n"
        f"result = {FILES}"
    )
    assert made == FILES
    head, before = await moving.head(), contents_in(moving.other)
    async with moving.lost_host():
        listing = await moving.calls("GET", f"{moving.base}/files?path=dir-7&limit=1000")
        assert listing.status == 200, listing.text
        assert len(listing.body["entries"]) == FILES // 20
        assert contents_in(moving.host) == before
        began = time.perf_counter()
        assert (await moving.calls("GET", f"{moving.base}/files/dir-7/file-7")).text == "content of 7"
        read = time.perf_counter() - began
        began = time.perf_counter()
        assert (await moving.run("result = open('dir-8/file-8').read()"))[0] == "content of 8"
        turn = time.perf_counter() - began
        assert contents_in(moving.host) <= before + 10
        assert await moving.head() == head
        everything = await moving.run(
            "import os\n"
            "result = sorted(open(os.path.join(at, name)).read() for at, _, names in os.walk('.') for name in names)"
        )
        assert everything[0] == sorted(f"content of {number}" for number in range(FILES))
        assert await moving.head() == head  # reading changes nothing
    print(
        f"{FILES} files: claim → listing {moving.claimed_and_listed:.2f} s, first file {read:.3f} s, first turn {turn:.2f} s"
    )


async def test_everything_a_file_can_be_is_the_same_and_the_agents_own_on_the_other_host(
    cluster: Cluster, calls: Caller, deployment: str, moving: Moving
) -> None:
    await _others_first(cluster, calls, deployment, moving)
    look = (
        "import hashlib, os, stat\n"
        "result = {}\n"
        "for at, directories, names in os.walk('.'):\n"
        "    for name in directories + names:\n"
        "        path = os.path.join(at, name)\n"
        "        seen = os.lstat(path)\n"
        "        plain = stat.S_ISREG(seen.st_mode)\n"
        "        result[path] = [\n"
        "            seen.st_mode, seen.st_mtime_ns if plain else 0, seen.st_uid == os.getuid(), seen.st_nlink if plain else 0,\n"
        "            hashlib.sha256(open(path, 'rb').read()).hexdigest() if plain else '',\n"
        "            os.readlink(path) if stat.S_ISLNK(seen.st_mode) else '',\n"
        "            [[key, os.getxattr(path, key).hex()] for key in sorted(os.listxattr(path, follow_symlinks=False))],\n"
        "        ]\n"
    )
    before, _ = await moving.run(
        "import os\n"
        "os.makedirs('deep/er'); os.makedirs('empty/below'); os.makedirs('scratch')\n"
        f"open('large', 'wb').write(bytes(range(256)) * ({LARGE} // 256))\n"
        "open('deep/er/tool', 'w').write('#!/bin/sh\\necho ran\\n'); os.chmod('deep/er/tool', 0o750)\n"
        "open('secret', 'w').write('x'); os.chmod('secret', 0o400)\n"
        "open('tagged', 'w').write('y'); os.setxattr('tagged', 'user.tag', b'\\x00\\xff')\n"
        "open('nothing', 'w').close()\n"
        "open(b'odd \\xff name\\n', 'w').write('z')\n"
        "os.link('tagged', 'second name'); os.symlink('deep/er/tool', 'short'); os.symlink('nowhere', 'dangling')\n"
        "os.mkdir('closed'); os.chmod('closed', 0o500); os.utime('nothing', ns=(10**18, 10**18))\n"
        "open('scratch/local', 'w').write('only here')\n" + look
    )
    uid, _ = await moving.run("import os\nresult = os.getuid()")
    async with moving.lost_host():
        after, _ = await moving.run(look)
        moved_uid, _ = await moving.run("import os\nresult = os.getuid()")
        excluded = {path: before.pop(path) for path in list(before) if path.startswith("./scratch")}
        assert "./scratch/local" in excluded
        assert "./scratch/local" not in after  # what is excluded has no history, and stays behind
        assert {path: after[path] for path in before} == before
        assert set(after) - set(before) <= set(excluded)
        assert all(seen[2] for seen in after.values())
        if os.geteuid() == 0:
            assert moved_uid != uid
        done, _ = await moving.run(
            "import subprocess\n"
            "open('large', 'r+b').write(b'changed')\n"
            "open('second name', 'w').write('through the other name')\n"
            "open('empty/below/new', 'w').write('n')\n"
            "result = [subprocess.run(['./short'], capture_output=True, text=True).stdout, open('tagged').read()]"
        )
        assert done == ["ran\n", "through the other name"]


async def _others_first(cluster: Cluster, calls: Caller, deployment: str, moving: Moving) -> None:
    """Agents on the other host, so that what comes there gets another user id than it had."""
    other, count = moving.other.environment["COORDINATOR_ID"], 0
    while count < 2:
        made = await calls.create(deployment)
        count += made["coordinator_id"] == other


@pytest.mark.noisy("contents_missing")
async def test_a_turn_whose_contents_never_arrived_runs_again_and_all_that_is_listed_can_be_read(
    moving: Moving,
) -> None:
    _, good = await moving.run("open('kept', 'w').write('one')\nopen('both', 'w').write('early')")
    await moving.run("open('gone', 'w').write('never arrived')\nopen('both', 'w').write('late')")
    (gone, *_) = [each for each in await moving.history("gone") if each["hash"]]
    moving.spoil = lambda: obstore.delete(moving.cluster.s3.client(), moving.object_key(gone["hash"]))
    async with moving.lost_host():

        async def is_back() -> bool:
            return (await moving.calls("GET", f"{moving.base}/files/gone")).text == "never arrived"

        await wait_until(is_back, 60, "the turn whose files were cut off to be run again")
        head = await moving.head()
        listed = (await moving.calls("GET", f"{moving.base}/files?depth=5")).body["entries"]
        names = {entry["path"] for entry in listed if entry["type"] == "file"}
        assert names == {"kept", "both", "gone"}
        for number in range(1, head + 1):
            for name in names:
                answer = await moving.calls("GET", f"{moving.base}/files/{name}/at/{number}")
                assert answer.status in (200, 404), (name, number, answer.text)
        assert "contents_missing" in moving.host.said("coordinator")
        assert (await moving.run("open('after', 'w').write('a')\nresult = open('kept').read()"))[0] == "one"
        assert await moving.head() > head
        done = await moving.calls("POST", f"/api/v1/agents/{moving.agent_id}/rewind", json={"at": good})
        assert done.status == 200, done.text
        for name in ("after", "gone"):
            assert (await moving.calls("GET", f"{moving.base}/files/{name}")).status == 404
        assert (await moving.calls("GET", f"{moving.base}/files/both")).text == "early"


async def test_versions_rewinds_and_forks_reach_back_over_the_move(moving: Moving, tmp_path: Path) -> None:
    _, first = await moving.run("open('book', 'w').write('first')\nopen('other', 'w').write('o')")
    await moving.run("import os\nopen('book', 'w').write('second')\nos.rename('other', 'renamed')")
    before = await moving.history("book")
    async with moving.lost_host():
        await moving.run("open('book', 'w').write('third')")
        after = await moving.history("book")
        assert after[-len(before) :] == before
        assert [each["iteration"] for each in after] == sorted((each["iteration"] for each in after), reverse=True)
        texts = {(await moving.calls("GET", f"{moving.base}/files/book/at/{n['iteration']}")).text for n in before}
        assert {"first", "second"} <= texts
        assert [each["path"] for each in await moving.history("renamed")][-1] in ("other", "renamed")
        shown = _podium(moving, tmp_path, "files", "history", moving.agent_id, "book")
        assert all(str(each["iteration"]) in shown for each in after)
        assert (
            _podium(moving, tmp_path, "files", "cat", moving.agent_id, "book", "--at", str(before[0]["iteration"]))
            == "second"
        )
        forked = await moving.calls("POST", f"/api/v1/agents/{moving.agent_id}/fork", json={"at": first})
        assert forked.status == 201, forked.text
        of_fork = Moving(moving.cluster, moving.calls, forked.body)
        assert (await of_fork.run("import os\nresult = [open('book').read(), sorted(os.listdir())]"))[0] == [
            "first",
            ["book", "other"],
        ]
        await of_fork.run("open('book', 'w').write('of the fork')")
        done = await moving.calls("POST", f"/api/v1/agents/{moving.agent_id}/rewind", json={"at": first})
        assert done.status == 200, done.text
        assert (await moving.run("import os\nresult = [open('book').read(), sorted(os.listdir())]"))[0] == [
            "first",
            ["book", "other"],
        ]
    async with moving.lost_host():  # and once more, with what came of it
        assert (await moving.run("result = open('book').read()"))[0] == "first"
        assert (await moving.history("book"))[-len(before) :] == before


async def test_a_content_damaged_in_the_bucket_is_an_error_everywhere_and_never_other_bytes(moving: Moving) -> None:
    await moving.run("open('spoilt', 'w').write('spoilt ' * 1000)\nopen('fine', 'w').write('fine')")
    digest = (await moving.history("spoilt"))[0]["hash"]

    def spoil() -> None:
        client, key = moving.cluster.s3.client(), moving.object_key(digest)
        body = bytearray(obstore.get(client, key).bytes().to_bytes())
        body[len(body) // 2] ^= 0xFF
        obstore.put(client, key, bytes(body))

    moving.spoil = spoil
    async with moving.lost_host():
        answer = await moving.calls("GET", f"{moving.base}/files/spoilt", headers={"Accept": "application/json"})
        assert answer.status == 500, answer.text
        assert "chronicle fsck" in answer.body["detail"]
        with pytest.raises(aiohttp.ClientPayloadError):  # bytes have no such way to say it: they break off
            await moving.calls("GET", f"{moving.base}/files/spoilt")
        assert (await moving.run("result = open('spoilt').read()"))[0] == {"errno": errno.EIO}
        assert (await moving.run("result = open('fine').read()"))[0] == "fine"
        assert (await moving.calls("GET", f"{moving.base}/files/fine")).text == "fine"
        found = _fsck(moving)
        assert digest in found, found


def _podium(moving: Moving, tmp_path: Path, *words: str) -> str:
    """What `podium` prints."""
    environment = {**os.environ, "PODIUM_URL": moving.calls.daemons.url, "PODIUM_API_KEY": moving.calls.key or ""}
    done = subprocess.run(
        [sys.executable, "-m", "podium.cli", *words],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _fsck(moving: Moving) -> str:
    """What `chronicle fsck` finds, beside the host that serves the workspace."""
    store = moving.host.data / "agents" / moving.agent_id / "chronicle"
    environment = {**os.environ, **moving.host.environment}
    done = subprocess.run(
        [sys.executable, "-m", "chronicle.cli", "fsck", "--json", "-w", str(store)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr
