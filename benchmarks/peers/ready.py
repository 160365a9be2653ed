"""Waits until a peer answers, and measures how long that took."""

import asyncio
import time

import aiohttp

from benchmarks.peers.install import PeerUnavailableError

READY_SECONDS = 60.0
"""A peer that does not answer within this is not to be had here."""


async def seconds_until_ready(name: str, url: str, process: asyncio.subprocess.Process, started: float) -> float:
    """Seconds from `started` (`time.perf_counter`) to the first 200 of `url`.

    Raises:
        PeerUnavailableError: the process ended, or was not ready in time.
    """
    async with aiohttp.ClientSession() as session:
        while time.perf_counter() - started < READY_SECONDS:
            if process.returncode is not None:
                raise PeerUnavailableError(f"{name} ended with {process.returncode}")
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return time.perf_counter() - started
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.01)
    raise PeerUnavailableError(f"{name} was not ready in time")
