"""Asks the address it is told with its secret `TOKEN`, and says what it knows and what it was answered."""

import json
import os
import urllib.error
import urllib.request
from typing import Any

from podium.agent import AgentContext, BaseAgent


def ask(url: str) -> str:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['TOKEN']}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError) as error:
        return f"failed: {error}"


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        said = {"environment": dict(os.environ), "secret": ctx.secrets["TOKEN"], "answer": ask(message["text"])}
        reply = await ctx.send_message()
        await reply.stream_token(json.dumps(said), final=True)
