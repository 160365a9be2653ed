"""Waiting for conditions instead of sleeping, and ports nobody else has."""

import asyncio
import inspect
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final

POLL_SECONDS: Final = 0.01
"""How often a condition is looked at: far below what a person notices, far above a busy loop."""


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
    """A TCP port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
