"""Counts words, in a state of the first version of its layout."""

from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        _version = 1
        _entity_type = "tally"
        count: int = 0
        words: dict[str, int] = {}
        said: list[dict[str, Any]] = []

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.count += 1
        for word in message["text"].split():
            ctx.state.words[word] = ctx.state.words.get(word, 0) + 1
        ctx.state.said.append({"text": message["text"], "size": {"words": len(message["text"].split())}})
        ctx.state.said[0]["size"]["later"] = ctx.state.count - 1
        await (await ctx.send_message(f"{ctx.state.count}")).end()
