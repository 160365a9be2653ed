"""Plain pytest, no server."""

import asyncio

from agent import Echo

from podium.testing import AgentHarness


def test_it_says_what_you_said() -> None:
    async def conversation() -> None:
        async with AgentHarness(Echo) as agent:
            turn = await agent.send("hello there")
            assert turn.text.strip() == "hello there"
            assert turn.types.count("stream_update") == 2

    asyncio.run(conversation())
