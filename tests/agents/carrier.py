"""Reports what a package it depends on left for it."""

import json
from typing import Any

import spy  # type: ignore[import-not-found]

from podium.agent import AgentContext, BaseAgent


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        await (await ctx.send_message(json.dumps(spy.FOUND))).end()
