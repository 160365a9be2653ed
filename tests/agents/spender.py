"""Spends as many micro-dollars as it is told, one call of a model after the other, and says how often it began."""

import asyncio
from typing import Any

from podium.agent import AgentContext, BaseAgent


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        calls, _, price = message["text"].partition("x")
        reply = await ctx.send_message()
        for _ in range(int(calls)):
            await ctx.usage("model", cost_micro_dollars=int(price))
            await asyncio.sleep(0.01)
        await reply.stream_token(f"attempt {ctx.turn.attempt if ctx.turn else 0}", final=True)
