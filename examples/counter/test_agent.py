"""Plain pytest, no server: state, and what a crash in the middle of a turn leaves."""

import asyncio

from agent import Counter

from podium.testing import AgentHarness


def test_it_counts_messages_and_remembers_them() -> None:
    async def conversation() -> None:
        async with AgentHarness(Counter) as agent:
            await agent.send("one")
            turn = await agent.send("two")
            assert turn.text == "message 2: 'two'"
            assert agent.state["history"] == ["one", "two"]
            await agent.restart()
            assert (await agent.send("three")).text == "message 3: 'three'"

    asyncio.run(conversation())


def test_a_long_count_goes_on_after_a_crash_and_counts_its_message_once() -> None:
    async def conversation() -> None:
        async with AgentHarness(Counter, config={"pause_ms": 1}) as agent:
            turn = agent.begin("count to 30")
            await turn.until("stream_update", count=10)
            await agent.crash_and_restart()
            await turn.done()
            numbers = [int(event["text"]) for event in turn.of_type("stream_update") if event["text"].strip().isdigit()]
            assert sorted(set(numbers)) == list(range(1, 31))
            assert agent.state["count"] == 1
            assert agent.state["reached"] == 0

    asyncio.run(conversation())
