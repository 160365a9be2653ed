"""Runs one agent in this process over its link."""

import asyncio
import contextlib
import io
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from podium.agent.base_agent import BaseAgent
from podium.agent.instance import EXIT_LINK_LOST
from podium.agent.reading import AgentLink

FLUSH_SECONDS: Final = 2.0
"""How long the last frames may take to leave when the agent ends."""

LOST_SECONDS: Final = 0.2
"""How long cancelled work may take to end when the coordinator is gone."""


def run(link: socket.socket, factory: Callable[[dict[str, Any]], BaseAgent]) -> int:
    """Serves one agent over `link`, a connected Unix stream socket, until it ends; returns the exit code.

    The codes are `EXIT_STOPPED`, `EXIT_INIT_FAILED` and `EXIT_LINK_LOST` of `podium.agent.instance`. Must be called in
    the main thread of a process in which no loop runs; what is printed leaves line by line from here on. The socket is
    closed afterwards.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    loop = asyncio.SelectorEventLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(serve(link, factory, listen_to_logging=True))
    finally:
        asyncio.set_event_loop(None)
        _close(loop)


async def serve(
    link: socket.socket, factory: Callable[[dict[str, Any]], BaseAgent], *, listen_to_logging: bool = False
) -> int:
    """The same inside a running loop."""
    return await finish(connect(link, factory, listen_to_logging=listen_to_logging))


def connect(
    link: socket.socket, factory: Callable[[dict[str, Any]], BaseAgent], *, listen_to_logging: bool = False
) -> AgentLink:
    """Begins to serve in the running loop: the agent is made when `init` arrives. `finish` must follow."""
    served = AgentLink(link, factory)
    served.listen_to_logging = listen_to_logging
    return served


async def finish(served: AgentLink) -> int:
    """Waits until the agent ends, cleans up behind it and closes its link; returns the exit code."""
    code = EXIT_LINK_LOST
    try:
        code = await asyncio.shield(served.ended)
    finally:
        if served.instance is not None:
            await served.instance.close(LOST_SECONDS)
        await served.close(FLUSH_SECONDS if code != EXIT_LINK_LOST else 0)
    return code


def warm() -> None:
    """Imports and builds what an agent needs later, so that a fork of this process need not. Leaves nothing running."""
    for module in ("podium.agent", "podium.agent.commands", "podium.agent.entry"):
        import_module(module)
    import_module("podium.agent.rehearsal").rehearse()


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Ends what the author left in the loop; it may not take long, the process is about to end."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=LOST_SECONDS))
    with contextlib.suppress(RuntimeError):
        loop.close()
