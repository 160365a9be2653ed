"""Counts its turns, runs commands, reads its files back, and looks at its own history."""

from typing import Any

from podium.agent import AgentContext, AgentRequestError, BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.count += 1
        verb, _, rest = message["text"].partition(" ")
        text = message["text"]
        if verb == "sh":
            result = await ctx.run_command(rest)
            text = f"exit {result.exit_code}"
        elif verb == "read":
            text = " ".join(
                f"{path.relative_to(ctx.workspace)}={path.read_text()}"
                for path in sorted(ctx.workspace.rglob("*"))
                if path.is_file()
            )
        elif verb == "talk":
            text = "|".join(said["text"] for said in await ctx.messages())
        elif verb in ("name", "versions", "back"):
            try:
                text = await self.look(ctx, verb, rest)
            except AgentRequestError as error:
                text = f"refused: {error}"
        reply = await ctx.send_message()
        await reply.stream_token(f"{ctx.state.count}: {text}", final=True)

    async def look(self, ctx: AgentContext, verb: str, rest: str) -> str:
        if verb == "name":
            return str(await ctx.checkpoint(rest))
        if verb == "versions":
            return " ".join(f"{found['kind']}:{found.get('size', '')}" for found in await ctx.history(rest))
        moment, _, path = rest.partition(" ")
        return str(await ctx.restore(int(moment) if moment.isdigit() else moment, path))
