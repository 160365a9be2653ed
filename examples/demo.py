"""`make demo`: what Podium does, seen in a few seconds. Exits with 0 only if everything happened as promised.

1. `podium up` on free ports with temporary data
2. agents deployed from examples/, in Python and, where there is Bun, in TypeScript
3. a conversation, as `podium chat` shows it: thoughts, plan, tools, a question, a permission, a command, usage
4. the process of one agent in each language killed with SIGKILL in the middle of a turn: the turn goes on, nothing is lost,
   nothing comes twice
5. everything stopped, nothing left behind
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from podium.base.bun import find_bun
from podium.cli.chat.asking import asked_by
from podium.cli.chat.pieces import Look, Piece
from podium.cli.chat.screen import Screen
from podium.cli.chat.transcript import Transcript
from podium.cli.printer import colours_wanted
from podium.cli.project import Project
from podium.cli.upload import deploy
from podium.client import ClientSettings, PodiumClient, PodiumConnection, PodiumConnectionError, PodiumEvent
from podium.wire.commands import Answer
from podium.wire.errors import PodiumError
from podium.wire.rest import InstanceCreate

EXAMPLES = Path(__file__).parent
COUNT_TO = 40
KILL_AFTER = 12
"""The number at which the agent's process is killed."""

COUNTERS = {"counter": "Python"} | ({"counter-ts": "TypeScript"} if find_bun() else {})
"""The agents that are killed, with their language."""

STEP_SECONDS = 30.0
"""No part of the demo may take longer."""

ANSWERS = {"name": "count-words"}
"""What the demo answers to the toolsmith's question; permissions it allows once."""


class BrokenPromiseError(Exception):
    """Something did not happen as promised."""


class Stage:
    """Where the demo appears, and what it has checked."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        self.screen = Screen(terminal=False, colours=colours_wanted(os.environ, terminal=terminal))

    def chapter(self, title: str) -> None:
        self.screen.write([Piece(f"\n── {title} {'─' * max(2, 76 - len(title))}\n", Look.HEAD)])

    def kept(self, promise: str, held: bool = True) -> None:
        """Tells that a promise was kept.

        Raises:
            BrokenPromiseError: it was not.
        """
        if not held:
            self.screen.write([Piece(f"✗ {promise}\n", Look.BAD)])
            raise BrokenPromiseError(promise)
        self.screen.write([Piece(f"✓ {promise}\n", Look.GOOD)])


class Talk:
    """One conversation with one instance."""

    def __init__(self, stream: PodiumConnection, screen: Screen) -> None:
        self.stream = stream
        self.events: list[PodiumEvent] = []
        self._screen = screen
        self._transcript = Transcript()

    async def say(self, text: str) -> AsyncIterator[PodiumEvent]:
        """Sends a message and gives its turn's events, shown as they come."""
        turn_id = (await self.stream.send_message(text)).turn_id
        async for event in self.stream.events:
            self.events.append(event)
            self._screen.write(self._transcript.feed(event))
            yield event
            if event.kind == "checkpoint" and event.turn_id == turn_id:
                return

    def note(self, text: str) -> None:
        """A line of the demo's own in between."""
        self._screen.note(text)
        self._transcript.line_ended()

    async def answer(self, event: PodiumEvent) -> None:
        """Answers what the event asks, if it asks anything."""
        asked = asked_by(event)
        if asked is None:
            return
        for prompt in asked.prompts:
            self._screen.write(prompt.pieces())
        given = {"": asked.prompts[0].options[0]} if asked.permission else ANSWERS
        await self.stream.send(Answer(asked.answer(given)))


async def main() -> int:
    """Runs the demo."""
    stage = Stage()
    try:
        with tempfile.TemporaryDirectory(prefix="podium-demo-") as folder:
            os.chmod(folder, 0o711)  # agents run under user ids of their own and must reach their workspaces
            await play(stage, Path(folder))
    except (BrokenPromiseError, PodiumConnectionError, PodiumError, TimeoutError) as broken:
        print(f"\nthe demo failed: {broken or type(broken).__name__}", file=sys.stderr)
        return 1
    stage.kept("nothing is left: no process, no file")
    return 0


async def play(stage: Stage, folder: Path) -> None:
    """All chapters."""
    stage.chapter("podium up")
    began = time.monotonic()
    async with platform(folder / "data") as (up, address):
        stage.kept(f"gateway and coordinator are ready after {time.monotonic() - began:.2f} s at {address}")
        settings = ClientSettings(address, (folder / "data" / "dev-key").read_text().strip())
        async with PodiumClient(settings) as podium:
            async with asyncio.timeout(STEP_SECONDS):
                await deploy_all(stage, podium)
            async with asyncio.timeout(STEP_SECONDS):
                await toolsmith(stage, podium)
            for name in COUNTERS:
                async with asyncio.timeout(STEP_SECONDS):
                    await counter(stage, podium, name, up.pid)
        stage.chapter("stopped")
        family = set(descendants(up.pid))
    left = [pid for pid in family if Path(f"/proc/{pid}").exists()]
    stage.kept(f"{len(family)} processes ended with `podium up`", not left)


async def deploy_all(stage: Stage, podium: PodiumClient) -> None:
    stage.chapter("podium deploy")
    for name in ("toolsmith", *COUNTERS):
        began = time.monotonic()
        deployment = await deploy(podium, Project(EXAMPLES / name))
        again = await deploy(podium, Project(EXAMPLES / name))
        took = time.monotonic() - began
        stage.kept(f"{deployment.deployment_id}, twice the same bytes ({took:.2f} s)", deployment == again)


async def toolsmith(stage: Stage, podium: PodiumClient) -> None:
    stage.chapter("podium chat toolsmith")
    instance_id = await create(stage, podium, "toolsmith", "first start, with its template")
    async with await podium.connect(instance_id, after=0) as stream:
        talk = Talk(stream, stage.screen)
        async for event in talk.say("make a tool"):
            await talk.answer(event)
    kinds = {event.kind for event in talk.events}
    wanted = {
        "thinking.start", "plan.updated", "tool.call", "tool.result", "tool.error", "tool.question_requested",
        "tool.permission_requested", "terminal.stream", "terminal.complete", "usage.update", "usage.context", "stream_end",
    }  # fmt: skip
    stage.kept(f"{len(kinds)} kinds of events came over one stream", wanted <= kinds)
    state = await podium.instances.state(instance_id)
    stage.kept(f"its state says {json.dumps(state.state['tools'])}", state.state["tools"] == ["count-words"])


async def counter(stage: Stage, podium: PodiumClient, name: str, up: int) -> None:
    stage.chapter(f"kill -9 in the middle of a turn: {name}, in {COUNTERS[name]}")
    instance_id = await create(stage, podium, name, "first start")
    await create(stage, podium, name, "second start")
    async with await podium.connect(instance_id, after=0) as stream:
        talk = Talk(stream, stage.screen)
        async for _event in talk.say("hello"):
            pass
        killed_at = None
        async for event in talk.say(f"count to {COUNT_TO}"):
            if killed_at is None and event.text.strip() == str(KILL_AFTER):
                os.kill(await agent_pid(podium, instance_id, up), signal.SIGKILL)
                killed_at = time.monotonic()
                talk.note(f"   ✂ kill -9 at number {KILL_AFTER}")
            elif killed_at is not None and event.kind == "stream_start":
                talk.note(f"   … running again {time.monotonic() - killed_at:.2f} s later")
    check_counted(stage, talk.events, killed=killed_at is not None)
    state = (await podium.instances.state(instance_id)).state
    stage.kept(f"its state counts each message once: {state['count']}", state["count"] == 2)
    journal = [event.seq async for event in podium.instances.events(instance_id)]
    stage.kept("the journal says the same", journal[: len(talk.events)] == [event.seq for event in talk.events])


def check_counted(stage: Stage, events: list[PodiumEvent], *, killed: bool) -> None:
    attempts = [event.content["attempt"] for event in events if event.kind == "stream_start" and event.content]
    stage.kept("the process was killed, and the turn was run again", killed and attempts == [1, 1, 2])
    numbers = [int(event.text) for event in events if event.kind == "stream_update" and event.text.strip().isdigit()]
    whole = sorted(set(numbers)) == list(range(1, COUNT_TO + 1))
    stage.kept(
        f"it went on where it was: no number from 1 to {COUNT_TO} is missing", whole and numbers == sorted(numbers)
    )
    seqs = [event.seq for event in events]
    stage.kept(f"{len(seqs)} events, numbered without gap or repetition", seqs == list(range(1, len(seqs) + 1)))


async def create(stage: Stage, podium: PodiumClient, agent_type: str, how: str) -> str:
    began = time.monotonic()
    made = await podium.instances.create(InstanceCreate(agent_type))
    stage.kept(f"{agent_type} ready after {(time.monotonic() - began) * 1000:.0f} ms ({how})", made.status == "ready")
    return made.instance_id


@contextlib.asynccontextmanager
async def platform(data: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`podium up` as a process of its own."""
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "podium.cli", "up", "--json", "--data", str(data)),
        env={**os.environ, "GATEWAY_PORT": "0", "COORDINATOR_PORT": "0", "DIMINUENDO_PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert up.stdout is not None
        async with asyncio.timeout(STEP_SECONDS):
            line = await up.stdout.readline()
        if not line:
            raise BrokenPromiseError("podium up did not start")
        told: dict[str, Any] = json.loads(line)
        yield up, told["gateway"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            up.terminate()
        await up.wait()


async def agent_pid(podium: PodiumClient, instance_id: str, up: int) -> int:
    """The process of an instance: the one below `podium up` that works in the instance's directory.

    Raises:
        BrokenPromiseError: there is none.
    """
    workspace = Path((await podium.instances.get(instance_id)).workspace.path)
    for pid in descendants(up):
        with contextlib.suppress(OSError):
            if workspace == Path(os.readlink(f"/proc/{pid}/cwd")):
                return pid
    raise BrokenPromiseError(f"no process works in {workspace}")


def descendants(pid: int) -> Iterator[int]:
    """All processes below `pid`, as the kernel tells."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from descendants(child)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
