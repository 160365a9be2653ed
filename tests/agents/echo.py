"""Says what it was told, and the how-manieth message that was."""

from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.count += 1
        reply = await ctx.send_message()
        await reply.stream_token(f"{ctx.state.count}: {message['text']}", final=True)
