"""Toolsmith: makes a small command line tool in its workspace, and shows every event an agent can make on the way.

It works by rules instead of a model, so that it runs anywhere. `make a tool` goes through everything: a thought, a plan,
tool calls (one of which fails), a permission, a question, a command with its output, and what it all cost. Any other
message is answered in one line.
"""

from pathlib import Path
from typing import Any

from podium.agent import AgentContext, BaseAgent, DeltaState

SCRIPT = """\
#!/bin/sh
# {name}: counts the words of its input
wc -w | tr -d ' '
"""

STEPS = ("look around", "write the tool", "try it")

OPTIONS = [
    {"option_id": "allow", "name": "Allow once", "kind": "allow_once"},
    {"option_id": "always", "name": "Always allow", "kind": "allow_always"},
    {"option_id": "reject", "name": "Reject", "kind": "reject_once"},
]


class Toolsmith(BaseAgent):
    """One tool a turn."""

    class State(DeltaState):
        """The tools made so far, and whether writing needs to be asked for."""

        _version = 1
        _entity_type = "toolsmith"
        tools: list[str] = []
        may_write: bool = False

    async def on_message(self, ctx: AgentContext, message: dict[str, Any]) -> None:
        if "make" not in message["text"]:
            reply = await ctx.send_message()
            made = ", ".join(ctx.state.tools) or "nothing yet"
            await reply.stream_token(f"I make tools; say `make a tool`. Made so far: {made}.", final=True)
            return
        await self._think(ctx, message["text"])
        await self._plan(ctx, done=0)
        await self._look_around(ctx)
        name = await self._ask_name(ctx)
        await self._plan(ctx, done=1)
        path = ctx.workspace / f"{name}.sh"
        if not await self._may_write(ctx, path):
            reply = await ctx.send_message()
            await reply.stream_token("Then I leave it.", final=True)
            return
        await self._write(ctx, path, SCRIPT.format(name=name))
        await self._plan(ctx, done=2)
        result = await ctx.run_command(
            ["sh", "-c", f"echo one two three | sh {path.name}"], cwd=ctx.workspace, timeout=10
        )
        await self._plan(ctx, done=3)
        await self._account(ctx)
        ctx.state.tools.append(name)
        reply = await ctx.send_message()
        verdict = "it works" if result.exit_code == 0 else f"it fails with exit code {result.exit_code}"
        for word in f"I made {path.name}, and {verdict}. That is tool number {len(ctx.state.tools)}.".split(" "):
            await reply.stream_token(word + " ")
        await reply.end()

    async def _think(self, ctx: AgentContext, text: str) -> None:
        async with ctx.thinking() as thought:
            await thought.write(f"They want: {text}. ")
            await thought.write("First I should see what is there.")

    async def _plan(self, ctx: AgentContext, *, done: int) -> None:
        status = ["completed" if i < done else "in_progress" if i == done else "pending" for i in range(len(STEPS))]
        await ctx.plan([{"content": step, "status": s} for step, s in zip(STEPS, status, strict=True)])

    async def _look_around(self, ctx: AgentContext) -> None:
        async with ctx.tool_call("list_files", {"path": "."}, kind="read") as call:
            call.result = sorted(path.name for path in ctx.workspace.iterdir())
        try:
            async with ctx.tool_call("read_file", {"path": "NOTES.md"}, kind="read") as call:
                call.result = (ctx.workspace / "NOTES.md").read_text()
        except FileNotFoundError:
            # Shown as tool.error; there are no notes, and the work goes on without them.
            ctx.log.info("no notes")

    async def _ask_name(self, ctx: AgentContext) -> str:
        question = {"id": "name", "question": "What shall the tool be called?", "options": ["count-words", "words"]}
        answers = await ctx.ask([question], timeout=300, default={"name": "words"})
        given = str((answers or {}).get("name", "words"))
        return "".join(c for c in given if c.isalnum() or c in "-_")[:40] or "words"

    async def _may_write(self, ctx: AgentContext, path: Path) -> bool:
        if ctx.state.may_write:
            return True
        chosen = await ctx.ask_permission(
            "write_file", {"path": path.name}, options=OPTIONS, timeout=300, default="reject"
        )
        ctx.state.may_write = chosen == "always"
        return chosen in ("allow", "always")

    async def _write(self, ctx: AgentContext, path: Path, text: str) -> None:
        async with ctx.tool_call("write_file", kind="edit") as call:
            await call.delta('{"path": ')
            await call.delta(f'"{path.name}"}}')
            path.write_text(text)
            call.result = f"{len(text)} bytes"

    async def _account(self, ctx: AgentContext) -> None:
        model = ctx.get_config("model", "smith-1")
        await ctx.usage(
            model=model,
            provider="rules",
            input_tokens=1200,
            output_tokens=340,
            cached_tokens=800,
            cost_micro_dollars=4100,
        )
        most = ctx.get_config("context_tokens", 8000)
        await ctx.context_window(total_tokens=1540, max_tokens=most)
