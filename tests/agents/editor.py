"""Does what its message says, as an agent in an editor would: `plan`, `edit`, `shell`, `ask`, …; several with blanks between."""

import asyncio
import json
from typing import Any

from podium.agent import AgentContext, BaseAgent

BEFORE, AFTER = "debug = false\n", "debug = true\n"


class Agent(BaseAgent):
    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        for word in message["text"].split():
            act = getattr(self, f"do_{word}", None)
            if act is not None:
                await act(ctx, message)

    async def say(self, ctx: AgentContext, text: str) -> None:
        reply = await ctx.send_message()
        await reply.stream_token(text[: len(text) // 2])
        await reply.stream_token(text[len(text) // 2 :], final=True)

    async def do_hello(self, ctx: AgentContext, message: Any) -> None:
        await self.say(ctx, "Hello, editor!")

    async def do_think(self, ctx: AgentContext, message: Any) -> None:
        async with ctx.thinking() as thoughts:
            await thoughts.write("hm, ")
            await thoughts.write("yes")

    async def do_plan(self, ctx: AgentContext, message: Any) -> None:
        ctx.plan(["look", {"content": "change", "status": "in_progress", "priority": "high"}])

    async def do_edit(self, ctx: AgentContext, message: Any) -> None:
        change = {"path": "settings.toml", "old_text": BEFORE, "new_text": AFTER}
        async with ctx.tool_call("edit_file", change, title="Switch debugging on") as call:
            (ctx.workspace / "settings.toml").write_text(AFTER)
            call.result = "written"

    async def do_shell(self, ctx: AgentContext, message: Any) -> None:
        async with ctx.tool_call("run_tests", {"which": "all"}, kind="execute") as call:
            done = await ctx.run_command("echo one; echo two >&2")
            call.result = {"exit_code": done.exit_code}

    async def do_command(self, ctx: AgentContext, message: Any) -> None:
        await ctx.run_command("echo alone")

    async def do_fail(self, ctx: AgentContext, message: Any) -> None:
        try:
            async with ctx.tool_call("fetch_page", {"url": "https://example.invalid"}):
                raise OSError("no network")
        except OSError:
            pass

    async def do_cost(self, ctx: AgentContext, message: Any) -> None:
        ctx.usage("small", input_tokens=10, output_tokens=5, cost_micro_dollars=2_500)
        ctx.context_window(500, 1_000)

    async def do_permission(self, ctx: AgentContext, message: Any) -> None:
        change = {"path": "settings.toml", "old_text": BEFORE, "new_text": AFTER}
        async with ctx.tool_call("edit_file", change) as call:
            chosen = await ctx.ask_permission("edit_file", change, tool_call_id=call.id)
            call.result = chosen.outcome
        await self.say(ctx, f"permission: {chosen or chosen.outcome}")

    async def do_choose(self, ctx: AgentContext, message: Any) -> None:
        answers = await ctx.ask({"id": "colour", "question": "Which colour?", "options": ["red", "blue"]})
        await self.say(ctx, f"colour: {answers.get('colour', answers.outcome)}")

    async def do_ask(self, ctx: AgentContext, message: Any) -> None:
        answers = await ctx.ask([{"id": "name", "question": "What is it called?"}, {"id": "why", "question": "Why?"}])
        await self.say(ctx, f"answers: {json.dumps(answers)}")

    async def do_settings(self, ctx: AgentContext, message: Any) -> None:
        await self.say(ctx, json.dumps(message.get("settings", {}), sort_keys=True))

    async def do_switch(self, ctx: AgentContext, message: Any) -> None:
        async with ctx.tool_call("switch_mode", {"mode": "code"}, kind="switch_mode"):
            pass

    async def do_attachments(self, ctx: AgentContext, message: Any) -> None:
        await self.say(ctx, json.dumps([item["type"] for item in message.get("attachments", [])]))

    async def do_wait(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        await reply.stream_token("waiting")
        await asyncio.sleep(3600)

    async def do_raise(self, ctx: AgentContext, message: Any) -> None:
        raise RuntimeError("on purpose")
