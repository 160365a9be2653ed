"""Runs a shell script in its workspace, and says what it printed."""

import os
import subprocess
from typing import Any

from podium.agent import AgentContext, BaseAgent


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        if message["text"] == "sh":
            done = subprocess.run(
                ["sh", "-c", message["script"]], cwd=ctx.workspace, capture_output=True, text=True, check=False
            )
            await reply.stream_token(done.stdout + done.stderr, final=True)
        else:
            await reply.stream_token(str(os.getpid()), final=True)
