"""Echo: says what you said. The smallest agent there is."""

from typing import Any

from podium.agent import AgentContext, BaseAgent


class Echo(BaseAgent):
    """Streams the message back, word by word."""

    async def on_message(self, ctx: AgentContext, message: dict[str, Any]) -> None:
        reply = await ctx.send_message()
        for word in message["text"].split(" "):
            await reply.stream_token(word + " ")
        await reply.end()
