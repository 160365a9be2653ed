"""The agents that are measured, the same one in each language."""

from dataclasses import dataclass

from podium.base.bun import find_bun


@dataclass(frozen=True)
class Agent:
    """An agent of one file. `runtime` as in a manifest; `entry`: the file and what it exports."""

    agent_type: str
    runtime: str
    entry: str
    code: str

    @property
    def file(self) -> str:
        """Name of the file its code is in."""
        return "agent.py" if self.runtime == "python" else self.entry

    @property
    def manifest(self) -> str:
        """Its `podium.toml`."""
        return (
            f'[agent]\ntype = "{self.agent_type}"\nversion = "1.0.0"\n'
            f'runtime = "{self.runtime}"\nentry = "{self.entry}"\n'
        )

    @property
    def language(self) -> str:
        """What it is called in tables."""
        return "Python" if self.runtime == "python" else "TypeScript"


ECHO_PYTHON = Agent(
    "bench-echo",
    "python",
    "agent:Echo",
    """
from podium.agent import BaseAgent, DeltaState


class Echo(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx, message):
        ctx.state.count += 1
        reply = await ctx.send_message()
        await reply.stream_token(f"seen {ctx.state.count}", final=True)
""",
)
"""Changes its state and answers with one token: the smallest whole turn."""

ECHO_TYPESCRIPT = Agent(
    "bench-echo-ts",
    "typescript",
    "agent.ts",
    """
import { BaseAgent, DeltaState, type AgentContext, type AgentInput } from "@podium/ts";

class State extends DeltaState {
  count = 0;
}

export default class Echo extends BaseAgent<State> {
  static override State = State;

  override async onMessage(ctx: AgentContext<State>, _: AgentInput): Promise<void> {
    ctx.state.count += 1;
    const reply = await ctx.sendMessage();
    await reply.streamToken(`seen ${ctx.state.count}`, { final: true });
  }
}
""",
)
"""The same in TypeScript."""

FLOOD_PYTHON = Agent(
    "bench-flood",
    "python",
    "agent:Flood",
    """
import asyncio
from podium.agent import BaseAgent


class Flood(BaseAgent):
    async def on_message(self, ctx, message):
        reply = await ctx.send_message()
        burst = int(message["burst"])
        for number in range(int(message["events"])):
            await reply.stream_token("x" * 60 + str(number))
            if number % burst == 0:
                await asyncio.sleep(0.001)
        await reply.end()
""",
)
"""Streams `events` tokens, and rests for a millisecond after each `burst` of them."""

FLOOD_TYPESCRIPT = Agent(
    "bench-flood-ts",
    "typescript",
    "agent.ts",
    """
import { BaseAgent, type AgentContext, type AgentInput } from "@podium/ts";

export default class Flood extends BaseAgent {
  override async onMessage(ctx: AgentContext, input: AgentInput): Promise<void> {
    const reply = await ctx.sendMessage();
    const burst = Number(input["burst"]);
    for (let number = 0; number < Number(input["events"]); number++) {
      await reply.streamToken("x".repeat(60) + number);
      if (number % burst === 0) await Bun.sleep(1);
    }
    await reply.end();
  }
}
""",
)
"""The same in TypeScript."""


def runnable(*agents: Agent) -> list[Agent]:
    """Those that this host can run: without Bun, those in Python."""
    return [agent for agent in agents if agent.runtime == "python" or find_bun() is not None]
