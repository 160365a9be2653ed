"""Waits, raises, is deaf, is steered or floods, as it is told."""

import asyncio
import contextlib
from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState


class OnPurposeError(Exception):
    pass


class Agent(BaseAgent):
    class State(DeltaState):
        steered: list[str] = []

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        text = message["text"]
        if text == "steerable":
            async for said in ctx.steering():
                ctx.state.steered.append(said)
                await reply.stream_token(said, final=True)
                return
        if text == "wait":
            await reply.stream_token("waiting")
            await asyncio.sleep(3600)
        if text == "deaf":
            await reply.stream_token("deaf")
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(3600)
        if text == "stuck":
            await reply.stream_token("stuck")
            await asyncio.sleep(0)
            while True:
                pass
        if text == "raise":
            raise OnPurposeError("on purpose")
        if text == "flood":
            for _ in range(int(message["events"])):
                await reply.stream_token("x" * 1000)
        await reply.stream_token("done " + text, final=True)
