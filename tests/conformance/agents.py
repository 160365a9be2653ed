"""The agents of the golden conversations, in Python. What they do is written in spec/conversations/README.md."""

from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState


class Counter(BaseAgent):
    class State(DeltaState):
        _version = 1
        _entity_type = "counter"
        count: int = 0
        history: list[str] = []

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.count += 1
        ctx.state.history.append(message["text"])
        reply = await ctx.send_message("")
        await reply.stream_token(f"seen {ctx.state.count}", final=True)


class Teller(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        for word in message["text"].split():
            if word == "think":
                await reply.thinking("hm")
            elif word == "fail":
                raise ValueError("no")
            else:
                await reply.stream_token(word)


class Tools(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        async with ctx.tool_call("search", {"q": message["text"]}, kind="read") as call:
            if message["text"] == "fail":
                raise ValueError("nothing")
            call.result = ["found"]


class Asker(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        option = await ctx.ask_permission("rm", {"path": message["text"]})
        await (await ctx.send_message(option)).end()
        answers = await ctx.ask("Why?")
        await ctx.send_message(answers["q1"])


class Waiter(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message("waiting")
        async for text in ctx.steering():
            await reply.stream_token(text, final=True)
            return


class Migrated(BaseAgent):
    class State(DeltaState):
        _version = 2
        total: int = 0

        @classmethod
        def migrate(cls, data: dict[str, Any], from_version: int) -> dict[str, Any]:
            return {"total": data["count"]}

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        await ctx.send_message(str(ctx.state.total))


class Resting(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        await ctx.send_message("ok")

    async def on_idle_timeout(self, ctx: AgentContext) -> bool:
        return bool(ctx.get_config("sleepy", False))

    async def on_shutdown(self, ctx: AgentContext) -> None:
        ctx.log.info("bye")


AGENTS: dict[str, type[BaseAgent]] = {
    "counter": Counter,
    "teller": Teller,
    "tools": Tools,
    "asker": Asker,
    "waiter": Waiter,
    "migrated": Migrated,
    "resting": Resting,
}
