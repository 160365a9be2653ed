"""Asks a question, or for leave, and says what was answered."""

import json
from typing import Any

from podium.agent import AgentContext, BaseAgent


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        if message["text"] == "question":
            answers = await ctx.ask([{"id": "q", "question": "Which?", "options": ["a", "b"]}])
            await reply.stream_token(json.dumps(answers), final=True)
            return
        option = await ctx.ask_permission(
            "rm",
            {"path": "/x"},
            options=[
                {"option_id": "yes", "name": "Yes", "kind": "allow_once"},
                {"option_id": "no", "name": "No", "kind": "reject_once"},
            ],
            timeout=message.get("timeout"),
            default="no",
        )
        await reply.stream_token(str(option), final=True)
