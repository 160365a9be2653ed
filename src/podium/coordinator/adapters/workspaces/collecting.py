"""Contents of files that nobody needs any more are given up, now and then, in a process of its own.

`python -m podium.coordinator.adapters.workspaces.collecting DATA`: one pool after the other, with the lowest priority. What it did
is told in JSON, a line for each pool. It may be killed anywhere: what was given up till then is.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from chronicle.model.errors import ChronicleError
from chronicle.workspace.collecting import GRACE_SECONDS, collect_at
from podium.base.clock import SystemClock
from podium.coordinator.adapters.workspaces.places import Places

_log = logging.getLogger(__name__)

RUN_SECONDS: Final = 3600.0
"""How long one run may take; the next goes on with what is left."""

FIRST_SHARE: Final = 1 / 24
"""The first run comes after this share of the time between two: a host that is started anew every day collects as well."""

STOP_SECONDS: Final = 5.0
"""How long it may take to end when it is told to; then it is killed."""

_NICE: Final = 19


async def run(data: Path, seconds: float = RUN_SECONDS) -> list[dict[str, Any]]:
    """Collects all pools of a data directory once, in a process of its own, within so many seconds. What was done, for each pool.

    Cancelling it ends the process.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, str(data),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    done: list[dict[str, Any]] = []
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            async for line in process.stdout:
                done.append(msgspec.json.decode(line))
            await process.wait()
    except TimeoutError:
        _log.warning("collection_cut_off", extra={"seconds": seconds})
    finally:
        await _ended(process)
    if process.returncode:
        _log.error("collection_failed", extra={"code": process.returncode})
    return done


async def collecting(data: Path, every: float) -> None:
    """Collects for ever: some time after the start, then every so many seconds."""
    pause = every * FIRST_SHARE
    while True:
        await asyncio.sleep(pause)
        pause = every
        for told in await run(data):
            _log.log(logging.ERROR if "error" in told else logging.INFO, "contents_collected", extra=told)


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


# ── in the process ──────────────────────────────────────────────────────────────────────────────────────────


def pools_of(places: Places) -> Iterator[Path]:
    """All pools of a data directory: of tenants, and of agents that have one of their own."""
    for directory in (*places.pools.glob("*"), *places.agents.glob("*/chronicle/pool")):
        if directory.is_dir():
            yield directory


def main(data: Path, grace_s: float = GRACE_SECONDS) -> None:
    """One run. What was used within the last `grace_s` seconds stays."""
    os.nice(_NICE)
    places = Places(data)
    for directory in pools_of(places):
        told: dict[str, Any] = {"pool": directory.name}
        try:
            told |= msgspec.to_builtins(
                collect_at(directory, ours=places.agents, grace_s=grace_s, now=SystemClock().now_ms() / 1000)
            )
        except (ChronicleError, OSError) as error:  # the other pools are not to suffer from it
            told["error"] = str(error)
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
