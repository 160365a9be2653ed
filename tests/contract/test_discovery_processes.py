"""The embedded discovery among real processes, some of which are killed in the middle of what they write."""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from podium.base.clock import SystemClock
from podium.base.discovery import InstanceFilter, Notice
from podium.base.discovery.embedded import EmbeddedDiscovery
from podium.base.discovery.port import PROPAGATION_SECONDS

BATCH = 50
KILLS = 20
"""The moments differ by themselves: nothing ties the kill to where the writer is in its round."""

WRITER = """
import asyncio, sys
from pathlib import Path
from podium.base.clock import SystemClock
from podium.base.discovery import InstanceRecord
from podium.base.discovery.embedded import EmbeddedDiscovery
from podium.wire.status import InstanceStatus

async def main():
    discovery = EmbeddedDiscovery.open(Path(sys.argv[1]), SystemClock())
    start = int(sys.argv[2])
    for number in range(start, start + 1_000_000):
        await discovery.put_instances([
            InstanceRecord(f"inst-{n}", f"a{n}", "t", "echo", "d", "c", 1, InstanceStatus.READY, n, str(number))
            for n in range(int(sys.argv[3]))
        ])
        lease = await discovery.acquire_lease("a", "c")
        await discovery.release_lease("a", "c", lease.epoch)
        print(number, lease.epoch, flush=True)

asyncio.run(main())
"""

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM instances")
connection.execute("UPDATE leases SET epoch = 0")
print("inside", flush=True)
sys.stdin.read()
"""

CLAIMER = """
import asyncio, json, sys
from pathlib import Path
from podium.base.clock import SystemClock
from podium.base.discovery.embedded import EmbeddedDiscovery

async def main():
    discovery = EmbeddedDiscovery.open(Path(sys.argv[1]), SystemClock())
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for number in range(100):
        claim = await discovery.claim("t", f"k{number}", "f", {"by": sys.argv[2]}, 60)
        lease = await discovery.acquire_lease(f"a{number}", sys.argv[2])
        won.append((claim.mine, claim.plan["by"], lease is not None))
    await discovery.close()
    print(json.dumps(won), flush=True)

asyncio.run(main())
"""

SPEAKER = """
import asyncio, sys
from pathlib import Path
from podium.base.clock import SystemClock
from podium.base.discovery import Notice
from podium.base.discovery.embedded import EmbeddedDiscovery

async def main():
    discovery = EmbeddedDiscovery.open(Path(sys.argv[1]), SystemClock())
    for number in range(20):
        await discovery.publish(Notice("x", {"n": number}))
    await discovery.close()

asyncio.run(main())
"""


@contextlib.contextmanager
def started(code: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def rest_of(process: "subprocess.Popen[str]") -> list[str]:
    """Whole lines; the last one may have been cut."""
    assert process.stdout is not None
    return process.stdout.read().split("\n")[:-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "discovery.db"


@pytest.fixture
async def discovery(path: Path) -> AsyncIterator[EmbeddedDiscovery]:
    opened = EmbeddedDiscovery.open(path, SystemClock())
    yield opened
    await opened.close()


@pytest.mark.proves("DISCOVERY-WHOLE-OR-NOTHING", "EPOCH-ONLY-GROWS")
async def test_killed_writers_leave_whole_batches_and_epochs_that_only_grew(
    discovery: EmbeddedDiscovery, path: Path
) -> None:
    number = epoch = -1
    for kill in range(KILLS):
        with started(WRITER, str(path), str(number + 1), str(BATCH)) as writer:
            for _ in range(1 + kill % 3):
                number, epoch = map(int, said(writer).split())
            writer.kill()
            rest = rest_of(writer)
            if rest:
                number, epoch = map(int, rest[-1].split())
        records = await discovery.instances(InstanceFilter(), None, BATCH + 1)
        assert len(records) == BATCH
        reasons = {record.reason for record in records}
        assert len(reasons) == 1, "a batch was written in part"
        assert number <= int(reasons.pop() or "") <= number + 1
        lease = await discovery.acquire_lease("a", "checker") or await discovery.acquire_lease("a", "c")
        assert lease is not None
        assert lease.epoch >= epoch
        await discovery.release_lease("a", lease.coordinator_id, lease.epoch)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.proves("DISCOVERY-WHOLE-OR-NOTHING")
async def test_who_is_killed_inside_a_transaction_changes_nothing_and_blocks_nobody(
    discovery: EmbeddedDiscovery, path: Path
) -> None:
    await discovery.acquire_lease("a", "c")
    with started(HOLDER, str(path)) as holder:
        assert said(holder) == "inside\n"
        waiting = asyncio.get_running_loop().create_task(discovery.acquire_lease("b", "c"))
        assert (await discovery.coordinators()) == []
        holder.kill()
        holder.wait()
        async with asyncio.timeout(10):
            assert await waiting is not None
    lease = await discovery.acquire_lease("a", "c")
    assert lease is not None
    assert lease.epoch == 1


@pytest.mark.proves("LEASE-ONE-HOLDER", "CLAIM-ONE-OWNER")
async def test_processes_that_race_never_both_win(path: Path, discovery: EmbeddedDiscovery) -> None:
    with started(CLAIMER, str(path), "one") as one, started(CLAIMER, str(path), "two") as two:
        assert (said(one), said(two)) == ("ready\n", "ready\n")
        answers = []
        for racer in (one, two):
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in (one, two):
            answers.append(json.loads(said(racer)))
    for mine, theirs in zip(*answers, strict=True):
        assert mine[0] != theirs[0], "a claim has one owner"
        assert mine[1] == theirs[1], "both see the owner's plan"
        assert mine[2] != theirs[2], "a lease has one holder"


@pytest.mark.proves("NOTICES-HEARD")
async def test_notices_of_another_process_are_heard_in_order_and_in_time(
    discovery: EmbeddedDiscovery, path: Path
) -> None:
    subscription = discovery.subscribe("x")
    speaker = await asyncio.create_subprocess_exec(sys.executable, "-c", SPEAKER, str(path))
    assert await speaker.wait() == 0
    async with asyncio.timeout(PROPAGATION_SECONDS):
        assert [await anext(subscription) for _ in range(20)] == [Notice("x", {"n": n}) for n in range(20)]
