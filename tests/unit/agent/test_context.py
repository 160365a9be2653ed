"""What a turn can say and ask, seen from the coordinator's end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from podium.agent import AgentContext, AgentUsageError, BaseAgent, DeltaState
from podium.testing import AgentHarness, HarnessEvent, HarnessTurn
from podium.wire.events import PermissionOption

Script = Callable[[AgentContext, Any], Awaitable[Any]]


def agent(script: Script) -> Callable[[], BaseAgent]:
    class Scripted(BaseAgent):
        async def on_message(self, ctx: AgentContext, message: Any) -> None:
            await script(ctx, message)

    return Scripted


async def said(script: Script, **options: Any) -> HarnessTurn:
    async with AgentHarness(agent(script), **options) as harness:
        return await harness.send("go")


def short(turn: HarnessTurn) -> list[tuple[str, Any]]:
    return [
        (e.type, next((e.content[k] for k in ("text", "message", "result") if k in e.content), None))
        for e in turn.events
    ]


@pytest.mark.proves("SDK-ONE-END-PER-MESSAGE")
async def test_a_message_streams_and_its_end_carries_the_whole_text() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message("a")
        await reply.stream_token("b")
        await reply.stream_token("c", final=True)
        await reply.end()

    turn = await said(script)
    assert short(turn)[1:] == [("stream_update", t) for t in "abc"] + [("stream_end", "abc")]
    assert turn.events[0].content == {"message_id": turn.message.id, "attempt": 1}
    assert turn.events[-1]["stop_reason"] == "end_turn"


async def test_a_message_left_open_ends_with_the_next_one_or_the_turn() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        await ctx.send_message("one")
        await ctx.send_message("two")

    turn = await said(script)
    assert turn.types == ["stream_start", "stream_update", "stream_end"] * 2
    assert turn.text == "onetwo"


async def test_a_message_that_has_ended_takes_no_more() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message("x")
        await reply.end("max_tokens")
        with pytest.raises(AgentUsageError, match="has ended"):
            await reply.stream_token("y")

    turn = await said(script)
    assert (turn.error, turn.text, turn.events[-1]["stop_reason"]) == (None, "x", "max_tokens")


async def test_a_very_long_answer_is_cut_into_events_that_fit() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        await (await ctx.send_message()).stream_token("€" * 700_000)

    turn = await said(script)
    assert sum(len(event["text"]) for event in turn.of_type("stream_update")) == 700_000
    assert 0 < len(turn.text) < 700_000
    assert turn.error is None


@pytest.mark.proves("SDK-EVERY-EVENT")
async def test_thoughts_of_a_message_are_closed_before_its_text() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        await reply.thinking("hm")
        await reply.thinking("m")
        await reply.stream_token("so")
        await reply.thinking("ah")

    turn = await said(script)
    assert turn.types[1:] == [
        "thinking.start", "thinking.progress", "thinking.progress", "thinking.complete",
        "stream_update", "thinking.start", "thinking.progress", "thinking.complete", "stream_end",
    ]  # fmt: skip


async def test_thoughts_outside_a_message_are_closed_when_something_raises() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        async with ctx.thinking() as thoughts:
            await thoughts.write("hm")
            raise ValueError("no")

    turn = await said(script)
    assert turn.types == ["thinking.start", "thinking.progress", "thinking.complete"]
    assert turn.error == "ValueError: no"


@pytest.mark.proves("SDK-EVERY-EVENT")
async def test_a_tool_call_tells_its_arguments_before_anything_that_follows() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        async with ctx.tool_call("search", {"q": 1}, kind="read", title="Searching") as call:
            ctx.usage("m", input_tokens=1)
            call.result = [1, 2]

    turn = await said(script)
    assert turn.types == ["tool.call_start", "tool.call", "usage.update", "tool.result"]
    start, call, _, result = turn.events
    assert (start["kind"], start["title"], call["arguments"], result["result"]) == (
        "read",
        "Searching",
        {"q": 1},
        [1, 2],
    )
    assert len({event["tool_call_id"] for event in (start, call, result)}) == 1


async def test_streamed_arguments_come_before_the_whole_call() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        async with ctx.tool_call("write") as call:
            await call.delta('{"path":')
            ctx.plan(["meanwhile"])
            await call.delta('"x"}')
            call.result = "ok"
        async with ctx.tool_call("both", {"a": 1}) as call:
            await call.delta('{"a":1}')

    turn = await said(script)
    assert turn.types == [
        "tool.call_start", "tool.call_delta", "plan.updated", "tool.call_delta", "tool.call", "tool.result",
        "tool.call_start", "tool.call_delta", "tool.call", "tool.result",
    ]  # fmt: skip
    assert turn.of_type("tool.call")[0]["arguments"] == {"path": "x"}


async def test_an_exception_in_a_tool_call_is_its_error_and_goes_on() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        with pytest.raises(KeyError):
            async with ctx.tool_call("look", {}):
                raise KeyError("gone")
        with pytest.raises(AgentUsageError):
            async with ctx.tool_call("look", {}) as call:
                call.result = object()
        with pytest.raises(AgentUsageError):
            await ctx.tool_call("look", {"x": object()}).__aenter__()

    turn = await said(script)
    assert turn.of_type("tool.error")[0]["message"] == "KeyError: 'gone'"
    assert turn.types.count("tool.call_start") == turn.types.count("tool.error") == 2


async def test_a_permission_returns_the_chosen_option() -> None:
    chosen: list[Any] = []

    async def script(ctx: AgentContext, message: Any) -> None:
        async with ctx.tool_call("rm", {"path": "x"}) as call:
            option = await ctx.ask_permission("rm", {"path": "x"}, tool_call_id=call.id)
            chosen.append((str(option), option.granted, option.kind, option.outcome))
        custom = [PermissionOption("yes", "Yes!", "allow_always"), {"option_id": "no", "kind": "reject_always"}]
        option = await ctx.ask_permission("rm", options=custom)
        chosen.append((str(option), option.granted, option.name, option.outcome))

    def answer(event: HarnessEvent) -> str:
        return str(event["options"][-1]["option_id"])

    turn = await said(script, permissions=answer)
    assert chosen == [("reject_once", False, "reject_once", "selected"), ("no", False, "Always reject", "selected")]
    assert turn.types[:3] == ["tool.call_start", "tool.call", "tool.permission_requested"]


async def test_a_permission_nobody_answers_takes_its_default_at_the_deadline() -> None:
    seen: list[Any] = []

    async def script(ctx: AgentContext, message: Any) -> None:
        for default in ("allow_once", None):
            option = await ctx.ask_permission("rm", {"d": default}, timeout=60, default=default)
            seen.append((str(option), option.granted, option.outcome))

    async with AgentHarness(agent(script)) as harness:
        turn = harness.begin("go")
        for count in (1, 2):
            request = await turn.until("tool.permission_requested", count)
            assert request["expires_at"] > 0
            harness.expire(request)
        await turn.done()
    assert seen == [("allow_once", True, "expired"), ("", False, "expired")]


@pytest.mark.proves("SDK-EVERY-EVENT")
async def test_questions_return_answers_by_id() -> None:
    seen: list[Any] = []

    async def script(ctx: AgentContext, message: Any) -> None:
        answers = await ctx.ask(["Name?", {"id": "size", "question": "Size?", "options": ["S", "L"]}])
        seen.append((dict(answers), answers.outcome))
        answers = await ctx.ask("Sure?")
        seen.append((dict(answers), answers.outcome))

    async with AgentHarness(agent(script)) as harness:
        turn = harness.begin("go")
        first = await turn.until("tool.question_requested")
        assert [question["id"] for question in first["questions"]] == ["q1", "size"]
        harness.answer(first, {"q1": "Ada", "size": "L"})
        harness.answer(await turn.until("tool.question_requested", 2), None)
        await turn.done()
    assert seen == [({"q1": "Ada", "size": "L"}, "answered"), ({}, "dismissed")]


@pytest.mark.proves("SDK-ASK-SURVIVES-RESTART")
async def test_an_answer_given_while_the_process_was_away_is_found() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        first = await ctx.ask_permission("a")
        second = await ctx.ask_permission("b")
        await ctx.send_message(f"{first} {second}")

    async with AgentHarness(agent(script)) as harness:
        turn = harness.begin("go")
        harness.answer(await turn.until("tool.permission_requested"), "allow_once")
        request = await turn.until("tool.permission_requested", 2)
        await harness.crash()
        harness.answer(request, "reject_once")
        await harness.start()
        await turn.done()
    assert (turn.text, turn.attempt, turn.types.count("tool.permission_requested")) == ("allow_once reject_once", 2, 2)


async def test_leave_for_one_thing_is_not_leave_for_another_after_a_restart() -> None:
    commands = iter(["rm build", "rm /"])

    async def script(ctx: AgentContext, message: Any) -> None:
        await ctx.ask_permission("sh", {"command": next(commands)})

    async with AgentHarness(agent(script)) as harness:
        turn = harness.begin("go")
        first = await turn.until("tool.permission_requested")
        await harness.crash_and_restart()
        second = await turn.until("tool.permission_requested", 2)
        assert first["request_id"] != second["request_id"]
        harness.answer(second, "reject_once")
        await turn.done()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda ctx: ctx.ask_permission("x", options=[]),
        lambda ctx: ctx.ask_permission("x", options=["maybe"]),
        lambda ctx: ctx.ask_permission("x", options=["allow_once", "allow_once"]),
        lambda ctx: ctx.ask_permission("x", default="other"),
        lambda ctx: ctx.ask_permission("x", {"f": print}),
        lambda ctx: ctx.ask([]),
        lambda ctx: ctx.ask([{"text": "x"}]),
    ],
)
async def test_a_request_nobody_could_answer_is_refused(wrong: Callable[[AgentContext], Awaitable[Any]]) -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        with pytest.raises(AgentUsageError):
            await wrong(ctx)

    turn = await said(script)
    assert (turn.error, turn.events) == (None, [])


@pytest.mark.proves("SDK-EVERY-EVENT")
async def test_usage_window_plan_and_emit_work_with_and_without_await() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        ctx.usage("m", provider="p", input_tokens=1, output_tokens=2, cost_micro_dollars=3)
        await ctx.context_window(50, 200)
        ctx.plan(["one", {"content": "two", "status": "completed"}])
        await ctx.emit("thinking_update", {"text": "x"})
        ctx.emit("thinking.complete")

    turn = await said(script)
    assert turn.types == ["usage.update", "usage.context", "plan.updated", "thinking.progress", "thinking.complete"]
    assert turn.events[1]["percent_used"] == 25.0
    assert [entry["status"] for entry in turn.events[2]["entries"]] == ["pending", "completed"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("checkpoint", {}),
        ("message.user", {"text": "x"}),
        ("nonsense", {}),
        ("stream_update", {"txt": 1}),
        ("plan.updated", None),
    ],
)
async def test_an_event_an_agent_may_not_emit_is_refused(name: str, content: Any) -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        with pytest.raises(AgentUsageError):
            ctx.emit(name, content)

    turn = await said(script)
    assert (turn.error, turn.events) == (None, [])


async def test_steers_reach_the_handler_or_the_iterator() -> None:
    taken: list[str] = []

    class Steered(BaseAgent):
        async def on_message(self, ctx: AgentContext, message: Any) -> None:
            await ctx.send_message("begun")
            if message.text == "iterate":
                async for text in ctx.steering():
                    taken.append(text)
                    if text == "stop":
                        return
            arrived = asyncio.Event()

            async def handler(text: str) -> None:
                taken.append(text.upper())
                arrived.set()

            ctx.on("steer", handler)
            await arrived.wait()
            taken.extend([text async for text in ctx.steering(wait=False)])

    async with AgentHarness(Steered) as harness:
        turn = harness.begin("iterate")
        await turn.until("stream_start")
        turn.steer("left")
        turn.steer("stop")
        await turn.done()
        turn = harness.begin("handle")
        await turn.until("stream_start")
        turn.steer("right")
        await turn.done()
    assert taken == ["left", "stop", "RIGHT"]


async def test_messages_are_the_conversation() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        texts = [item["text"] for item in await ctx.messages(limit=2)]
        await ctx.send_message(" ".join(texts))

    async with AgentHarness(agent(script)) as harness:
        assert (await harness.send("one")).text == "one"
        assert (await harness.send("two")).text == "one two"


@pytest.mark.proves("SDK-SECRETS-HIDDEN")
async def test_configuration_secrets_and_identity_are_there() -> None:
    seen: dict[str, Any] = {}

    async def script(ctx: AgentContext, message: Any) -> None:
        seen.update(model=ctx.get_config("model.name"), dotted=ctx.get_config("a.b"), absent=ctx.get_config("x.y", 5))
        seen.update(secret=ctx.secrets["KEY"], shown=repr(ctx.secrets), here=ctx.workspace.is_dir())
        turn = ctx.turn
        assert turn is not None
        seen.update(
            attempt=turn.attempt, tenant=turn.origin.tenant_id, attachments=message.attachments, get=message.get("x")
        )
        with pytest.raises(AgentUsageError, match="declares no State"):
            _ = ctx.state

    config = {"model": {"name": "big"}, "a.b": 1}
    turn = await said(script, config=config, secrets={"KEY": "hunter2"})
    assert turn.error is None
    assert seen == {
        "model": "big", "dotted": 1, "absent": 5, "secret": "hunter2", "shown": "Secrets(KEY=…)", "here": True,
        "attempt": 1, "tenant": "test", "attachments": [], "get": None,
    }  # fmt: skip


async def test_a_context_whose_turn_is_over_says_nothing_any_more() -> None:
    kept: list[AgentContext] = []

    async def script(ctx: AgentContext, message: Any) -> None:
        kept.append(ctx)

    async with AgentHarness(agent(script)) as harness:
        await harness.send("one")
        with pytest.raises(AgentUsageError, match="is over"):
            await kept[0].send_message("late")


async def test_logs_are_structured_and_never_fail() -> None:
    async def script(ctx: AgentContext, message: Any) -> None:
        ctx.log.info("paid %d", 3, amount=3, thing=object(), nan=float("nan"), deep={"a": {1, 2}}, bad="\ud800")
        try:
            raise ValueError("x")
        except ValueError:
            ctx.log.exception("oops")

    async with AgentHarness(agent(script)) as harness:
        await harness.send("go")
        paid, oops = harness.logs
    assert (paid.level, paid.message, (paid.fields or {})["amount"]) == ("info", "paid 3", 3)
    assert "ValueError: x" in (oops.fields or {})["traceback"]


class Stateful(BaseAgent):
    class State(DeltaState):
        count: int = 0

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        ctx.state.count += 1


async def test_state_is_sent_before_the_turn_completes() -> None:
    async with AgentHarness(Stateful) as harness:
        for expected in (1, 2, 3):
            await harness.send("x")
            assert (harness.state, harness.state_version) == ({"count": expected}, expected + 1)


async def test_standard_logging_reaches_the_log_with_its_fields() -> None:
    from podium.agent.logging_bridge import LinkHandler

    sent: list[Any] = []
    handler = LinkHandler(sent.append)
    record = logging.makeLogRecord({"name": "lib", "levelno": 45, "msg": "m %s", "args": ("x",), "order": 7})
    handler.handle(record)
    assert (sent[0].level, sent[0].message, sent[0].module, sent[0].fields) == ("error", "m x", "lib", {"order": 7})
