"""The agent's end of the link: framing, flow control, exit codes."""

import asyncio
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from podium.agent import AgentContext, BaseAgent, DeltaState, runtime
from podium.agent.entry import factory_of
from podium.agent.instance import EXIT_INIT_FAILED, EXIT_LINK_LOST, EXIT_STOPPED
from podium.wire import link
from podium.wire.limits import LINK_AHEAD_MAX_BYTES


def init(**more: Any) -> link.Init:
    given: dict[str, Any] = {
        "config": {},
        "secrets": {},
        "state": None,
        "state_version": 0,
        "state_schema": None,
        **more,
    }
    return link.Init(1, "agt-1", "inst-1", "test", "test:1.0.0@00000000", "/", **given)


def message(text: str, number: int = 1) -> link.Message:
    return link.Message(f"m{number}", f"turn-{number}", {"text": text}, link.Origin("t"), 1)


class Peer:
    """A coordinator that does what it is told, over a blocking socket; the agent runs in a thread of its own."""

    def __init__(self, agent: type[BaseAgent]) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self._buffer = link.FrameBuffer()
        self._frames: list[link.FromAgent] = []
        self._code: list[int] = []
        self._thread = threading.Thread(target=lambda: self._code.append(runtime.run(theirs, factory_of(agent))))
        self._thread.start()

    def say(self, *frames: link.ToAgent) -> None:
        self.socket.sendall(b"".join(link.pack(frame) for frame in frames))

    def read(self, until: type[Any]) -> list[Any]:
        while not any(isinstance(frame, until) for frame in self._frames):
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self._frames += [link.read_from_agent(body) for body in self._buffer.feed(data)]
        at = next(n for n, frame in enumerate(self._frames) if isinstance(frame, until)) + 1
        found, self._frames = self._frames[:at], self._frames[at:]
        return found

    def code(self) -> int:
        self._thread.join(10)
        self.socket.close()
        return self._code[0]


class Talker(BaseAgent):
    class State(DeltaState):
        n: int = 0
        items: list[int] = []

    ahead = 0

    async def on_message(self, ctx: AgentContext, message: Any) -> None:
        reply = await ctx.send_message()
        for number in range(int(message.text)):
            ctx.state.n = number
            ctx.state.items.append(number)
            await reply.stream_token("x" * 1000)
            type(self).ahead = number


@pytest.mark.proves("LINK-ONE-DELTA-PER-LOOP-TURN")
def test_what_happens_in_one_loop_turn_leaves_in_one_write_with_one_delta() -> None:
    peer = Peer(Talker)
    peer.say(init(), message("20"))
    peer.read(link.Ready)
    frames = peer.read(link.Complete)
    deltas = [frame for frame in frames if isinstance(frame, link.StateDelta)]
    assert (len(deltas), len(deltas[0].deltas), deltas[0].deltas[0].version) == (1, 1, 2)
    assert sum(isinstance(frame, link.StreamUpdate) for frame in frames) == 22
    peer.say(link.Shutdown("stop"))
    assert peer.code() == EXIT_STOPPED


@pytest.mark.proves("LINK-FLOW-CONTROL")
def test_an_agent_far_ahead_waits_and_everything_arrives() -> None:
    Talker.ahead = 0
    peer = Peer(Talker)
    peer.say(init(), message("12000"))
    peer.read(link.Ready)
    frames: list[Any] = []
    peer.socket.settimeout(0.3)
    highest = -1
    while highest != Talker.ahead:
        highest = Talker.ahead
        threading.Event().wait(0.2)
    # It stopped by itself: kernel buffers and what may be ahead, not all that it has to say.
    assert highest * 1000 < LINK_AHEAD_MAX_BYTES + 2 * 1024 * 1024
    peer.socket.settimeout(10)
    frames = peer.read(link.Complete)
    assert sum(isinstance(frame, link.StreamUpdate) for frame in frames) == 12002
    versions = [delta.version for frame in frames if isinstance(frame, link.StateDelta) for delta in frame.deltas]
    assert versions == list(range(2, len(versions) + 2))
    assert len(versions) > 10
    peer.say(link.Shutdown("stop"))
    assert peer.code() == EXIT_STOPPED


def test_a_ping_is_answered_and_a_turn_that_talks_without_end_can_be_cancelled() -> None:
    peer = Peer(Talker)
    peer.say(init(), message("100000000"))
    peer.read(link.StreamUpdate)
    peer.say(link.LinkPing(7), link.CancelTurn("turn-1"))
    assert peer.read(link.LinkPong)[-1].nonce == 7
    assert peer.read(link.Complete)[-1].stop_reason == "cancelled"
    peer.say(link.Shutdown("stop"))
    assert peer.code() == EXIT_STOPPED


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\xff\xff\xff\xff",
        b"\x02\x00\x00\x00{}",
        b"\x03\x00\x00\x00abc",
        link.pack(link.LinkPing(1)),
        link.pack(init()) + b"\x02\x00\x00\x00{}",
    ],
)
def test_a_coordinator_that_breaks_the_protocol_is_left(bytes_: bytes) -> None:
    peer = Peer(Talker)
    peer.socket.sendall(bytes_)
    assert peer.code() == EXIT_LINK_LOST


def test_a_lost_link_ends_the_process_at_once() -> None:
    class Waits(BaseAgent):
        async def on_message(self, ctx: AgentContext, message: Any) -> None:
            await ctx.send_message("x")
            await asyncio.Event().wait()

    peer = Peer(Waits)
    peer.say(init(), message("go"))
    peer.read(link.StreamUpdate)
    peer.socket.shutdown(socket.SHUT_RDWR)
    assert peer.code() == EXIT_LINK_LOST


def test_a_failing_start_is_told_before_the_process_ends() -> None:
    class Broken(BaseAgent):
        def __init__(self) -> None:
            raise RuntimeError("no")

    peer = Peer(Broken)
    peer.say(init())
    *logs, failed = peer.read(link.Failed)
    assert (failed.message_id, failed.error) == ("", link.TurnError("RuntimeError", "no"))
    assert "Traceback" in logs[0].fields["traceback"]
    assert peer.code() == EXIT_INIT_FAILED


@pytest.mark.proves("SDK-IMPORT-60MS")
def test_importing_the_sdk_loads_neither_asyncio_nor_sockets() -> None:
    code = (
        "import sys; from podium.agent import BaseAgent, AgentContext, DeltaState;"
        "heavy = {'asyncio', 'socket', 'ssl', 'subprocess', 'logging', 'sqlite3', 'aiohttp'} & set(sys.modules);"
        "third = {name.split('.')[0] for name in sys.modules} & {'pydantic', 'click', 'rich', 'starlette', 'uvloop'};"
        "sys.exit(f'{heavy} {third}' if heavy or third else 0)"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0


def test_warming_up_starts_nothing_and_loads_what_a_turn_needs() -> None:
    code = (
        "import sys, threading, os; from podium.agent import runtime; runtime.warm();"
        "assert threading.active_count() == 1; assert 'podium.agent.commands' in sys.modules;"
        "assert not [f for f in os.listdir('/proc/self/fd') if 'socket' in os.path.realpath('/proc/self/fd/' + f)]"
    )
    result = subprocess.run([sys.executable, "-I", "-c", code], check=False, stdin=subprocess.DEVNULL)
    assert result.returncode == 0
