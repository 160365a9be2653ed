"""Tells what it sees: its environment, secrets, configuration and files; keeps which hooks were called; dies when told to."""

import asyncio
import os
import sys
from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0
        hooks: list[str] = []

    async def on_init(self, ctx: AgentContext) -> None:
        ctx.state.hooks.append("init")
        if ctx.get_config("fail"):
            print("about to fail")
            raise RuntimeError("told to fail")

    async def on_shutdown(self, ctx: AgentContext) -> None:
        ctx.state.hooks.append("shutdown")

    async def on_config_change(self, ctx: AgentContext, changes: Any) -> None:
        ctx.state.hooks.append("config")

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.count += 1
        reply = await ctx.send_message()
        await reply.stream_token(await self.answer(ctx, reply, message), final=True)

    async def answer(self, ctx: AgentContext, reply: Any, message: Any) -> str:
        match message["text"]:
            case "pid":
                return str(os.getpid())
            case "env":
                return os.environ.get(message["name"], "absent")
            case "secret":
                return str(ctx.secrets.get(message["name"], "absent"))
            case "config":
                return str(ctx.get_config(message["name"], "absent"))
            case "die":
                await reply.stream_token("dying")
                await asyncio.sleep(0.05)
                if ctx.turn is not None and ctx.turn.attempt < int(message.get("until", 99)):
                    os._exit(3)
                return ""
            case "write":
                (ctx.workspace / "file.txt").write_text("kept")
                return ""
            case "read":
                return (ctx.workspace / "file.txt").read_text()
            case "talk":
                print("printed by it")
                print("complained", file=sys.stderr)
                ctx.log.warning("warned", extra_field=1)
        return str(ctx.state.count)
