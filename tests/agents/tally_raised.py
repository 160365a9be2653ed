"""The tally in the second version of its layout; what has counted ten can't be moved to it."""

from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        _version = 2
        _entity_type = "tally"
        total: int = 0
        words: dict[str, int] = {}
        moved_from: int = 0

        @classmethod
        def migrate(cls, data: dict[str, Any], from_version: int) -> dict[str, Any]:
            if data["count"] >= 10:
                raise ValueError("too many to move")
            return {"total": data["count"], "words": data["words"], "moved_from": from_version}

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.total += 1
        await (await ctx.send_message(f"{ctx.state.total}")).end()
