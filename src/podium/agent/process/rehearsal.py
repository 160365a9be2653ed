"""Runs an agent that does nothing, in the template, before anything is forked.

What the first run of code changes (specialised bytecode, caches, names resolved) is then changed in pages every fork shares,
and not again in each of them: about a tenth of what a forked agent has of its own. Nothing of it stays: the loop is closed, the
link is gone, no descriptor and no thread is left.
"""

import json
import logging
import os
import socket
from typing import Any, Final

from podium.agent import BaseAgent, runtime
from podium.agent.context import AgentContext
from podium.agent.process.orders import Setup
from podium.agent.process.orders import pack as pack_plain
from podium.agent.state import DeltaState
from podium.wire.link import LINK_PROTOCOL, Init, Message, Origin, Shutdown, pack

REPETITIONS: Final = 8
"""After so many runs the interpreter has specialised a function's bytecode, and writes to it no more."""


class _Nobody(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.count += 1
        reply = await ctx.send_message()
        await reply.stream_token("nothing", final=True)


def rehearse() -> None:
    """Does `REPETITIONS` times what every child will do."""
    environment = dict(os.environ)
    setup = pack_plain(Setup(environment, "/", None, False, {}, None, False, "/", "a:A", None)._asdict())
    level = logging.root.level
    for _ in range(REPETITIONS):
        os.environ.update(Setup(**json.loads(setup)).environment)
        _run_nobody()
    logging.root.setLevel(level)


def _run_nobody() -> None:
    """Starts, lets take one turn, and ends the agent that does nothing."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(
            pack(
                Init(
                    protocol=LINK_PROTOCOL,
                    agent_id="nobody",
                    instance_id="inst-nobody",
                    agent_type="nobody",
                    deployment_id="nobody:0.0.0@00000000",
                    workspace="/",
                    config={},
                    secrets={},
                    state=None,
                    state_version=0,
                    state_schema=None,
                )
            )
            + pack(Message(id="msg", turn_id="turn", data={"text": "", "role": "user"}, origin=Origin("t"), attempt=1))
            + pack(Shutdown(reason="stop"))
        )
        runtime.run(theirs, lambda _config: _Nobody())
