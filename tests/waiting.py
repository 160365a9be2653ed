"""Waiting for conditions instead of sleeping, and ports nobody else has."""

import asyncio
import inspect
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 0.01
"""How often a condition is looked at: far below what a person notices, far above a busy loop."""

LOWEST_PORT: Final = 15_000
"""Below it are the ports of well-known servers."""

_lots = random.SystemRandom()  # processes that run beside each other must not draw the same


async def wait_until(
    condition: Callable[[], object | Awaitable[object]], timeout: float = 10.0, what: str = ""
) -> None:
    """Returns when `condition` holds. Raises `TimeoutError`, naming `what`, after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return
        if loop.time() >= end:
            raise TimeoutError(f"not within {timeout} s: {what or condition}")
        await asyncio.sleep(POLL_SECONDS)


def until(condition: Callable[[], object], timeout: float = 10.0, what: str = "") -> None:
    """`wait_until` for tests without a loop."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {timeout} s: {what or condition}")
        pause.wait(POLL_SECONDS)


def free_port() -> int:
    """A TCP port of the loopback that was free a moment ago, and will be when a server takes it: the kernel gives it to no connection."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = _lots.randrange(LOWEST_PORT, max(first_given, LOWEST_PORT + 1_000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
