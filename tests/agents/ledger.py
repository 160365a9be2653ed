"""Enters every message into its state, and answers how many there are; what crash proofs are made with."""

import asyncio
from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0
        entries: list[str] = []

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        for word in ("one ", "two "):
            await reply.thinking(word)
            await asyncio.sleep(0.005)
        ctx.state.entries.append(message["text"])
        ctx.state.count += 1
        await reply.stream_token(str(ctx.state.count), final=True)
