"""Goes through everything a turn may do, and the first time ends itself by SIGKILL at the point the message names."""

import asyncio
import os
import signal
from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState

COMMAND_SECONDS = 0.2
"""How long a command runs before the agent ends itself."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0
        turn: str = ""

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        assert ctx.turn is not None
        dying = message["text"] if ctx.turn.attempt == 1 else ""

        def at(point: str) -> None:
            if point == dying:
                die()

        at("begin")
        if ctx.state.turn != ctx.turn.id:
            ctx.state.turn = ctx.turn.id
            ctx.state.count += 1
        at("state")
        reply = await ctx.send_message()
        at("started")
        await reply.thinking("hm")
        at("thought")
        await reply.stream_token("some ")
        at("word")
        async with ctx.tool_call("look", {"at": "it"}) as call:
            at("tool")
            call.result = "seen"
        at("tool result")
        chosen = await ctx.ask_permission("go on", {})
        at("answered")
        (ctx.workspace / "file").write_text(chosen)
        at("file")
        if dying == "command":
            asyncio.get_running_loop().call_later(COMMAND_SECONDS, die)
            await ctx.run_command(["sleep", message["seconds"]])
        await ctx.run_command("true")
        at("command over")
        await ctx.checkpoint("here")
        at("checkpoint")
        await reply.stream_token("words", final=True)
        at("end")
