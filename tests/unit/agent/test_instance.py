"""The life of an agent: init, turns, cancellation, failure, migration, shutdown."""

import asyncio
from typing import Any, ClassVar

import pytest

from podium.agent import AgentContext, BaseAgent, DeltaState
from podium.agent.instance import EXIT_INIT_FAILED, EXIT_STOPPED
from podium.testing import AgentHarness, AgentStartError
from podium.testing.harness import StoredState


class Life(BaseAgent):
    class State(DeltaState):
        _version = 2
        _entity_type = "life"
        seen: list[str] = []
        added: int = 7

        @classmethod
        def migrate(cls, data: dict[str, Any], from_version: int) -> dict[str, Any]:
            if "poison" in data:
                raise KeyError("poison")
            return {"seen": [f"{from_version}:{item}" for item in data["items"]]}

    changes: ClassVar[list[Any]] = []

    async def on_init(self, ctx: AgentContext) -> None:
        ctx.state.seen.append("init")

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        await getattr(self, message.text)(ctx)

    async def on_config_change(self, ctx: AgentContext, changes: dict[str, Any]) -> None:
        self.changes.append((changes, dict(ctx.config)))

    async def on_idle_timeout(self, ctx: AgentContext) -> bool:
        if ctx.get_config("raise"):
            raise RuntimeError("not now")
        return not ctx.get_config("busy", False)

    async def on_shutdown(self, ctx: AgentContext) -> None:
        ctx.state.seen.append("shutdown")

    async def fail(self, ctx: AgentContext) -> None:
        await ctx.send_message("half")
        raise ValueError("bad thing")

    async def leave(self, ctx: AgentContext) -> None:
        raise SystemExit(3)

    async def hang(self, ctx: AgentContext) -> None:
        await ctx.send_message("half")
        try:
            await asyncio.Event().wait()
        finally:
            ctx.state.seen.append("cleaned")

    async def stubborn(self, ctx: AgentContext) -> None:
        await ctx.send_message("half")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert ctx.cancelled.is_set()
            await ctx.send_message("I was told to stop")

    async def cancel_itself(self, ctx: AgentContext) -> None:
        raise asyncio.CancelledError

    async def fine(self, ctx: AgentContext) -> None:
        await ctx.send_message("fine")

    def sync(self, ctx: AgentContext) -> Any:
        return asyncio.sleep(0)


async def test_the_first_state_is_sent_before_ready_and_on_init_may_change_it() -> None:
    async with AgentHarness(Life) as harness:
        assert harness.state == {"seen": ["init"], "added": 7}
        assert harness.state_version == 2


@pytest.mark.proves("AGENT-EXCEPTION-ERROR-EVENT")
async def test_an_exception_ends_the_turn_and_the_agent_lives_on() -> None:
    async with AgentHarness(Life) as harness:
        turn = await harness.send("fail")
        assert turn.error == "ValueError: bad thing"
        assert turn.events[-1].content == {"text": "half", "stop_reason": "error"}
        assert "in fail" in (harness.logs[-1].fields or {})["traceback"]
        assert (await harness.send("leave")).error == "SystemExit: 3"
        assert (await harness.send("cancel_itself")).error == "CancelledError: "
        assert (await harness.send("fine")).text == "fine"


@pytest.mark.proves("SDK-CANCEL-RAISES")
async def test_cancellation_raises_in_the_turn_and_closes_its_message() -> None:
    async with AgentHarness(Life) as harness:
        turn = harness.begin("hang")
        await turn.until("stream_update")
        turn.cancel()
        await turn.done()
        assert (turn.stop_reason, turn.events[-1].content) == (
            "cancelled",
            {"text": "half", "stop_reason": "cancelled"},
        )
        assert harness.state["seen"] == ["init", "cleaned"]
        assert (await harness.send("fine")).stop_reason == "end_turn"


async def test_a_cancel_that_comes_with_the_message_ends_the_turn_too() -> None:
    async with AgentHarness(Life) as harness:
        turn = harness.begin("hang")
        turn.cancel()
        await turn.done()
        assert (turn.stop_reason, turn.events) == ("cancelled", [])


async def test_a_turn_that_catches_its_cancellation_still_counts_as_cancelled() -> None:
    async with AgentHarness(Life) as harness:
        turn = harness.begin("stubborn")
        await turn.until("stream_update")
        turn.cancel()
        await turn.done()
        assert (turn.stop_reason, turn.text) == ("cancelled", "halfI was told to stop")
        assert turn.events[-1]["stop_reason"] == "cancelled"


async def test_turns_run_one_at_a_time_in_order() -> None:
    async with AgentHarness(Life) as harness:
        first, second = harness.begin("hang"), harness.begin("fine")
        await first.until("stream_update")
        assert second.events == []
        first.cancel()
        await second.done()
        assert second.text == "fine"


async def test_a_plain_function_may_be_a_hook() -> None:
    async with AgentHarness(Life) as harness:
        assert (await harness.send("sync")).stop_reason == "end_turn"


async def test_an_older_state_is_migrated_before_on_init_and_gets_new_defaults() -> None:
    async with AgentHarness(Life, state=StoredState({"items": ["a"]}, version=1)) as harness:
        assert harness.state == {"seen": ["1:a", "init"], "added": 7}


@pytest.mark.proves("STATE-MIGRATION-ATOMIC")
@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (StoredState({"poison": 1}, version=1), "KeyError"),
        (StoredState({"seen": []}, version=3), "deploy the newer code"),
    ],
)
async def test_a_state_that_cannot_be_migrated_is_left_as_it_was(stored: StoredState, why: str) -> None:
    harness = AgentHarness(Life, state=stored)
    with pytest.raises(AgentStartError, match=why):
        async with harness:
            pass
    assert (harness.state, harness.state_version) == (stored.data, 1)


async def test_a_field_the_stored_state_lacks_gets_its_default_as_a_change() -> None:
    async with AgentHarness(Life, state=StoredState({"seen": []}, version=2)) as harness:
        assert harness.state == {"seen": ["init"], "added": 7}
        assert harness.state_version == 2


async def test_stored_fields_the_class_does_not_know_are_kept() -> None:
    async with AgentHarness(Life, state=StoredState({"seen": [], "added": 1, "old": [1]}, version=2)) as harness:
        assert harness.state["old"] == [1]


async def test_a_failing_on_init_is_told_and_ends_the_process() -> None:
    class Broken(BaseAgent):
        async def on_init(self, ctx: AgentContext) -> None:
            raise LookupError("no model")

    harness = AgentHarness(Broken)
    with pytest.raises(AgentStartError, match="LookupError: no model"):
        await harness.__aenter__()
    assert EXIT_INIT_FAILED == 3


async def test_configuration_changes_reach_the_hook_with_the_whole_after_them() -> None:
    Life.changes.clear()
    async with AgentHarness(Life, config={"a": 1}) as harness:
        await harness.change_config({"b": 2})
    assert Life.changes == [({"b": 2}, {"a": 1, "b": 2})]


async def test_sleep_is_deferred_by_the_hook_an_exception_or_a_running_turn() -> None:
    async with AgentHarness(Life) as harness:
        assert await harness.idle() is True
        turn = harness.begin("hang")
        await turn.until("stream_start")
        assert await harness.idle() is False
        turn.cancel()
        await turn.done()
        await harness.change_config({"busy": True})
        assert await harness.idle() is False
        await harness.change_config({"raise": True})
        assert await harness.idle() is False


async def test_shutdown_runs_its_hook_and_leaves_the_running_turn_to_be_run_again() -> None:
    async with AgentHarness(Life) as harness:
        turn = harness.begin("hang")
        await turn.until("stream_update")
        assert await harness.stop("drain") == EXIT_STOPPED
        assert not turn.over.is_set()
        assert harness.state["seen"] == ["init", "cleaned", "shutdown"]
        await harness.start()
        await turn.until("stream_start", 2)
        assert turn.of_type("stream_start")[1]["attempt"] == 2
        turn.cancel()
        await turn.done()


async def test_a_crash_keeps_what_was_sent_and_runs_the_turn_again() -> None:
    async with AgentHarness(Life) as harness:
        await harness.send("fine")
        turn = harness.begin("hang")
        await turn.until("stream_update")
        await harness.crash_and_restart()
        await turn.until("stream_update", 2)
        assert (turn.attempt, harness.state["seen"]) == (2, ["init", "init"])
        turn.cancel()
        await turn.done()
