"""Takes more than it may: memory, processes, disk, time."""

import asyncio
import subprocess
from typing import Any

from podium.agent import AgentContext, BaseAgent

MIB = 2**20
MEMORY_MIB = 2048
CHILDREN = 100


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        match message["text"]:
            case "memory":
                held = [bytearray(64 * MIB) for _ in range(MEMORY_MIB // 64)]
                await reply.stream_token(f"{len(held)} held ")
            case "processes":
                await reply.stream_token(self.start_children(), final=True)
                return
            case "time":
                await asyncio.sleep(3600)
        await reply.stream_token("fine", final=True)

    def start_children(self) -> str:
        started: list[subprocess.Popen[bytes]] = []
        try:
            for _ in range(CHILDREN):
                started.append(subprocess.Popen(["/bin/sleep", "77"]))
        except OSError:
            return "refused"
        finally:
            for child in started:
                child.kill()
                child.wait()
        return "all"
