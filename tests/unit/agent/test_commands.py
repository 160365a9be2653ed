"""Commands an agent runs: streamed, bounded, nothing left behind."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from podium.agent import AgentContext, BaseAgent, CommandResult
from podium.testing import AgentHarness, HarnessTurn


async def ran(command: Any, **options: Any) -> tuple[CommandResult, HarnessTurn]:
    results: list[CommandResult] = []

    class Runs(BaseAgent):
        async def on_message(self, ctx: AgentContext, message: Any) -> None:
            (ctx.workspace / "inner").mkdir()
            results.append(await ctx.run_command(command, **options))

    async with AgentHarness(Runs) as harness:
        turn = await harness.send("go")
    assert turn.error is None
    return results[0], turn


async def test_output_streams_and_the_result_has_all_of_it() -> None:
    result, turn = await ran("printf out; printf err >&2; exit 3")
    assert (result.exit_code, result.stdout, result.stderr, result.ok) == (3, "out", "err", False)
    assert sorted(result.output) == sorted("outerr")
    first = turn.events[0]
    assert (first["command"], first["data"]) == ("printf out; printf err >&2; exit 3", "")
    assert {(e["stream"], e["data"]) for e in turn.of_type("terminal.stream")[1:]} == {
        ("stdout", "out"),
        ("stderr", "err"),
    }
    assert turn.events[-1].content == {"terminal_id": first["terminal_id"], "exit_code": 3}


async def test_a_list_is_run_without_a_shell_in_the_given_directory_and_environment() -> None:
    result, turn = await ran(["sh", "-c", 'echo "$WHO"; pwd'], cwd="inner", env={"WHO": "me"})
    assert result.stdout.splitlines()[0] == "me"
    assert result.stdout.strip().endswith("/inner")
    assert turn.events[0]["command"] == "sh -c 'echo \"$WHO\"; pwd'"


async def test_a_timeout_kills_the_process_group() -> None:
    result, turn = await ran("sleep 60 & echo $!; wait", timeout=0.2)
    assert (result.timed_out, result.exit_code, result.signal) == (True, None, "SIGTERM")
    assert turn.events[-1]["signal"] == "SIGTERM"
    assert_gone(int(result.stdout))


async def test_what_a_command_leaves_running_is_killed() -> None:
    result, _ = await ran("sleep 60 >/dev/null 2>&1 & echo $!")
    assert result.ok
    assert_gone(int(result.stdout))


async def test_output_beyond_the_limit_is_thrown_away() -> None:
    result, turn = await ran("head -c 300000 /dev/zero | tr '\\0' x", output_limit=1000)
    assert (len(result.output), result.truncated, result.ok) == (1000, True, True)
    assert sum(len(event["data"]) for event in turn.of_type("terminal.stream")) == 1000


async def test_characters_cut_by_a_read_stay_whole() -> None:
    result, _ = await ran("printf '\\342\\202'; sleep 0.05; printf '\\254'")
    assert result.stdout == "€"


async def test_a_command_that_cannot_be_started_raises() -> None:
    class Runs(BaseAgent):
        async def on_message(self, ctx: AgentContext, message: Any) -> None:
            with pytest.raises(FileNotFoundError):
                await ctx.run_command(["no-such-program"])

    async with AgentHarness(Runs) as harness:
        turn = await harness.send("go")
    assert (turn.error, turn.events) == (None, [])


@pytest.mark.parametrize("end", ["cancel", "crash", "stop"])
async def test_the_end_of_the_turn_or_the_process_kills_the_command(end: str) -> None:
    class Runs(BaseAgent):
        async def on_message(self, ctx: AgentContext, message: Any) -> None:
            if ctx.turn is not None and ctx.turn.attempt == 1:
                await ctx.run_command("echo $$; exec sleep 60")

    async with AgentHarness(Runs) as harness:
        turn = harness.begin("go")
        pid = int((await turn.until("terminal.stream", 2))["data"])
        acts: dict[str, Callable[[], Any]] = {"cancel": turn.cancel, "crash": harness.crash, "stop": harness.stop}
        waiting = acts[end]()
        if waiting is not None:
            await waiting
            await harness.start()
        await turn.done()
        assert_gone(pid)


def assert_gone(pid: int) -> None:
    """The process has ended; as an orphan it may still wait to be reaped by whoever adopts it."""
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/stat") as stat:
        assert stat.read().rsplit(") ", 1)[1][0] in "ZX"


async def test_no_descriptor_stays_open() -> None:
    async def count() -> int:
        await asyncio.sleep(0)
        return len(os.listdir("/proc/self/fd"))

    before = await count()
    await ran("true")
    assert await count() == before
