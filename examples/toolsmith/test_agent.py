"""Plain pytest, no server: every kind of event, and each way a question can be answered."""

import asyncio

from agent import Toolsmith

from podium.testing import AgentHarness


def test_it_makes_a_tool_and_uses_every_event_on_the_way() -> None:
    async def conversation() -> None:
        async with AgentHarness(Toolsmith, questions={"name": "count-words"}, permissions="allow") as agent:
            turn = await agent.send("make a tool")
            assert turn.text == "I made count-words.sh, and it works. That is tool number 1. "
            assert (agent.workspace / "count-words.sh").exists()
            assert agent.state == {"tools": ["count-words"], "may_write": False}
            output = "".join(event["data"] for event in turn.of_type("terminal.stream"))
            assert output == "3\n"
            assert set(turn.types) >= {
                "thinking.start", "thinking.progress", "thinking.complete", "plan.updated",
                "tool.call_start", "tool.call_delta", "tool.call", "tool.result", "tool.error",
                "tool.question_requested", "tool.permission_requested",
                "terminal.stream", "terminal.complete", "usage.update", "usage.context",
                "stream_start", "stream_update", "stream_end",
            }  # fmt: skip

    asyncio.run(conversation())


def test_without_leave_it_writes_nothing() -> None:
    async def conversation() -> None:
        async with AgentHarness(Toolsmith, questions={"name": "x"}, permissions="reject") as agent:
            turn = await agent.send("make a tool")
            assert turn.text == "Then I leave it."
            assert not list(agent.workspace.glob("*.sh"))

    asyncio.run(conversation())


def test_always_allowed_it_does_not_ask_again() -> None:
    async def conversation() -> None:
        async with AgentHarness(Toolsmith, questions={"name": "a"}, permissions="always") as agent:
            await agent.send("make a tool")
            turn = await agent.send("make another")
            assert "tool.permission_requested" not in turn.types
            assert (await agent.send("hello")).text.endswith("Made so far: a, a.")

    asyncio.run(conversation())


def test_a_question_nobody_answers_takes_its_default() -> None:
    async def conversation() -> None:
        async with AgentHarness(Toolsmith, permissions="allow") as agent:
            turn = agent.begin("make a tool")
            agent.expire(await turn.until("tool.question_requested"))
            await turn.done()
            assert agent.state["tools"] == ["words"]

    asyncio.run(conversation())
