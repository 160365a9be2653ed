"""A short life of an agent nobody sees, played before processes are forked from this one.

What runs for the first time allocates: caches of types, methods and bytecode, lazily built decoders. Played here once,
it is shared by every fork instead of being made in each: less memory and less time until an agent is ready.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

from podium.agent import runtime
from podium.agent.base_agent import BaseAgent
from podium.agent.entry import factory_of
from podium.agent.state import DeltaState
from podium.wire import link

if TYPE_CHECKING:
    from podium.agent.context import AgentContext

TURNS: Final = 10
"""The interpreter adapts a function's bytecode after a few calls."""

SECONDS: Final = 5.0
"""More than enough; a rehearsal that hangs must not hold up a start."""


class Understudy(BaseAgent):
    """Does a little of everything an ordinary turn does."""

    class State(DeltaState):
        """One field of each common kind."""

        count: int = 0
        items: list[Any] = []
        table: dict[str, Any] = {}

    async def on_message(self, ctx: "AgentContext", message: Any) -> None:
        """Changes the state, streams an answer."""
        ctx.state.count += 1
        ctx.state.items.append({"text": message["text"]})
        ctx.state.table["last"] = message["text"]
        reply = await ctx.send_message()
        await reply.stream_token("x", final=True)


def rehearse() -> None:
    """Plays it. Leaves no loop, socket, thread or task behind."""
    loop = asyncio.SelectorEventLoop()
    ours, theirs = socket.socketpair()
    try:
        loop.run_until_complete(asyncio.wait_for(_play(ours, theirs), SECONDS))
    finally:
        ours.close()
        theirs.close()
        loop.close()


async def _play(ours: socket.socket, theirs: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ours.setblocking(False)
    served = runtime.connect(theirs, factory_of(Understudy))
    origin = link.Origin("rehearsal")
    frames: list[link.ToAgent] = [link.Init(link.LINK_PROTOCOL, "a", "i", "t", "d", "/", {}, {}, None, 0, None)]
    frames += [link.Message(f"m{n}", f"t{n}", {"text": "x"}, origin, 1) for n in range(TURNS)]
    await loop.sock_sendall(ours, b"".join(map(link.pack, frames)))
    heard = b""
    while heard.count(b'"complete"') < TURNS:
        heard += await loop.sock_recv(ours, 1 << 16)
    await loop.sock_sendall(ours, link.pack(link.Shutdown("stop")))
    await runtime.finish(served)
