"""The harness tells an author what went wrong."""

import heapq
from typing import Any

import pytest

from podium.agent import AgentContext, BaseAgent, DeltaState
from podium.testing import AgentHarness, AgentHarnessError, HarnessTimeoutError, StateBypassedError


class Queue(BaseAgent):
    class State(DeltaState):
        heap: list[int] = []

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        if message.text == "bypass":
            heapq.heappush(ctx.state.heap, 1)
        if message.text == "hang":
            await ctx.cancelled.wait()
        if message.text == "ask":
            await ctx.send_message(str(dict(await ctx.ask("Who?"))))


async def test_a_state_changed_behind_its_methods_is_noticed() -> None:
    async with AgentHarness(Queue) as harness:
        with pytest.raises(StateBypassedError, match=r"\[1\]"):
            await harness.send("bypass")


async def test_a_wait_that_takes_too_long_lists_what_happened() -> None:
    async with AgentHarness(Queue, timeout=0.05) as harness:
        turn = harness.begin("hang")
        with pytest.raises(HarnessTimeoutError, match="its end"):
            await turn.done()
        turn.cancel()
        await turn.done()
        assert turn.stop_reason == "cancelled"


async def test_an_event_that_never_came_is_told_when_the_turn_is_over() -> None:
    async with AgentHarness(Queue) as harness:
        with pytest.raises(HarnessTimeoutError, match="ended without stream_start"):
            await harness.begin("nothing").until("stream_start")


async def test_fixed_answers_and_refused_second_answers() -> None:
    async with AgentHarness(Queue, questions={"q1": "Ada"}) as harness:
        turn = await harness.send("ask")
        assert turn.text == "{'q1': 'Ada'}"
        request = turn.of_type("tool.question_requested")[0]
        with pytest.raises(AgentHarnessError, match="answered already"):
            harness.answer(request, {"q1": "Bob"})
        with pytest.raises(AgentHarnessError, match="asked nothing"):
            harness.answer("req-none", {})


@pytest.mark.proves("HARNESS-NO-SERVER")
async def test_the_workspace_is_gone_afterwards() -> None:
    async with AgentHarness(Queue) as harness:
        folder = harness.workspace
        assert folder.is_dir()
    assert not folder.exists()


async def test_talking_to_an_agent_that_does_not_run_is_an_error() -> None:
    async with AgentHarness(Queue) as harness:
        await harness.stop()
        with pytest.raises(AgentHarnessError, match="does not run"):
            await harness.change_config({"a": 1})
        await harness.restart()
        assert (await harness.send("x")).stop_reason == "end_turn"
