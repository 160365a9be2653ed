"""Counter: an agent that remembers. Its state is a plain object; changing it is saving it.

`count to 50` is a turn that takes a while. Kill the agent's process in the middle of it: the turn is run again, and goes
on with the number it had reached, because that number is in the state.
"""

import asyncio
import re
from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState

_COUNT_TO = re.compile(r"count to (\d{1,4})")


class Counter(BaseAgent):
    """Counts messages, and on request up to a number."""

    class State(DeltaState):
        """All that it knows.

        `reached` is how far a long count has come, 0 when none is under way; `turn` is the last turn that was counted.
        """

        _version = 1
        _entity_type = "counter"
        count: int = 0
        history: list[str] = []
        reached: int = 0
        turn: str = ""

    async def on_message(self, ctx: AgentContext, message: dict[str, Any]) -> None:
        text = message["text"]
        if ctx.state.turn != ctx.turn.id:
            # A turn that is run again after a crash may have counted its message already; the state knows.
            ctx.state.turn = ctx.turn.id
            ctx.state.count += 1
            ctx.state.history.append(text)
        if found := _COUNT_TO.search(text):
            await self._count_to(ctx, int(found[1]))
            return
        reply = await ctx.send_message()
        await reply.stream_token(f"message {ctx.state.count}: {text!r}", final=True)

    async def _count_to(self, ctx: AgentContext, last: int) -> None:
        pause = ctx.get_config("pause_ms", 40) / 1000
        reply = await ctx.send_message()
        if ctx.state.reached:
            await reply.stream_token(f"(going on after {ctx.state.reached}) ")
        while ctx.state.reached < last:
            ctx.state.reached += 1
            await reply.stream_token(f"{ctx.state.reached} ")
            await asyncio.sleep(pause)
        ctx.state.reached = 0
        await reply.end()
