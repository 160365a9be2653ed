"""An agent that does to its files what it is told, and what tests ask of it."""

from typing import Any

from tests.system.api import Answer, Caller

WRITING = """
from podium.agent import AgentRequestError, BaseAgent, DeltaState


class Agent(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx, message):
        ctx.state.count += 1
        verb, _, rest = message["text"].partition(" ")
        text = message["text"]
        if verb == "sh":
            result = await ctx.run_command(rest)
            text = f"exit {result.exit_code}"
        elif verb == "read":
            text = " ".join(
                f"{path.relative_to(ctx.workspace)}={path.read_text()}"
                for path in sorted(ctx.workspace.rglob("*")) if path.is_file()
            )
        elif verb == "talk":
            text = str([said["text"] for said in await ctx.messages()])
        elif verb in ("name", "versions", "back"):
            try:
                text = str(await self.look(ctx, verb, rest))
            except AgentRequestError as error:
                text = f"refused: {error}"
        reply = await ctx.send_message()
        await reply.stream_token(f"{ctx.state.count}: {text}", final=True)

    async def look(self, ctx, verb, rest):
        if verb == "name":
            return await ctx.checkpoint(rest)
        if verb == "versions":
            return [(found["kind"], found.get("size")) for found in await ctx.history(rest)]
        moment, _, path = rest.partition(" ")
        return await ctx.restore(int(moment) if moment.isdigit() else moment, path)
"""


async def said(caller: Caller, instance_id: str, text: str) -> tuple[str, str]:
    """The answer to a message, and its turn."""
    answer = await caller("POST", f"/api/v1/instances/{instance_id}/messages?wait=true", json={"text": text})
    assert answer.status == 200, answer.text
    return answer.body["text"], answer.body["turn_id"]


async def fork(caller: Caller, source_id: str, **body: Any) -> Answer:
    """Forks an agent."""
    return await caller("POST", f"/api/v1/agents/{source_id}/fork", json=body)


async def rewind(caller: Caller, agent_id: str, at: str | int, query: str = "") -> Answer:
    """Takes an agent back."""
    return await caller("POST", f"/api/v1/agents/{agent_id}/rewind{query}", json={"at": at})


async def items(caller: Caller, instance_id: str, what: str) -> list[dict[str, Any]]:
    """All of a list of the instance: messages, events."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await caller("GET", f"/api/v1/instances/{instance_id}/{what}?limit=1000{cursor}")).body
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
