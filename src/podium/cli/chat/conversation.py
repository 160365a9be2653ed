"""A conversation: what arrives goes to the screen, what is typed goes to the agent."""

import asyncio
import contextlib
import signal
from collections import deque
from typing import Any, Final

from podium.base.clock import Clock
from podium.base.tasks import TaskOwner
from podium.cli.chat.asking import ASKING, Asked, asked_by
from podium.cli.chat.keyboard import Key, Keyboard
from podium.cli.chat.pieces import Look, Piece
from podium.cli.chat.screen import Screen
from podium.cli.chat.transcript import Transcript
from podium.client import PodiumConnection, PodiumConnectionError, PodiumEvent
from podium.wire.commands import Answer, Cancel
from podium.wire.errors import ErrorCode

TICK_SECONDS: Final = 0.1
"""How often the status line moves."""

HELP: Final = "Enter sends · Ctrl-C cancels the turn, twice leaves · Ctrl-D leaves"


class LeftError(Exception):
    """The person has left."""


class Conversation:
    """One person and one agent; the stream under it may be replaced (`attach`)."""

    def __init__(self, keyboard: Keyboard, screen: Screen, transcript: Transcript, clock: Clock) -> None:
        self._keyboard = keyboard
        self._screen = screen
        self._transcript = transcript
        self._clock = clock
        self._stream: PodiumConnection | None = None
        self._tasks = TaskOwner("conversation")
        self._changed = asyncio.Event()
        self._over: set[str] = set()
        self._asked: deque[Asked] = deque()
        self._answering: str | None = None
        self._failure: PodiumConnectionError | None = None
        self._interrupts = 0
        self._skip_until_user = False
        self._behind = 0

    # ── the stream ───────────────────────────────────────────────────────────────────────────────────────────

    def attach(self, stream: PodiumConnection, *, from_message: bool = False) -> None:
        """Shows the events of `stream` from now on. `from_message`: begins with the first message of the user."""
        self._stream, self._failure = stream, None
        self._skip_until_user = from_message
        self._tasks.start(self._pump(stream), "pump")

    async def detach(self) -> int:
        """Lets go of the stream; returns the number of the last event seen."""
        stream, self._stream = self._stream, None
        if stream is None:
            return 0
        await stream.close()
        self._over.clear()
        self._wake()
        return stream.last_seq

    async def _pump(self, stream: PodiumConnection) -> None:
        try:
            async for event in stream.events:
                self._arrived(event, stream)
        except PodiumConnectionError as error:
            if stream is self._stream:
                self._failure = error
                self._wake()

    def _arrived(self, event: PodiumEvent, stream: PodiumConnection) -> None:
        if event.ts:
            self._behind = self._clock.now_ms() - event.ts
        if self._skip_until_user and event.kind not in ASKING:
            first_new = (stream.info.last_seq if stream.info else 0) + 1
            if event.kind != "message.user" and event.seq < first_new:
                return
            self._skip_until_user = False
        if event.kind in _OF_THE_INSTANCE and event.instance_id not in (None, stream.instance_id):
            # The end of the instance before this one, which the agent has outlived.
            return
        self._screen.write(self._transcript.feed(event))
        self._note(event)

    def _note(self, event: PodiumEvent) -> None:
        content = event.content or {}
        if event.kind == "checkpoint":
            self._finish(str(content.get("turn_id") or event.turn_id))
        elif event.kind in ASKING and (asked := asked_by(event)) is not None:
            self._asked.append(asked)
            self._wake()
        elif event.kind == "tool.approval_resolved":
            self._resolved(str(content.get("request_id")))
        elif event.kind == "state.status" and content.get("status") in ("failed", "terminated"):
            self._finish("")

    def _finish(self, turn_id: str) -> None:
        self._over.add(turn_id)
        self._changed.set()

    def _resolved(self, request_id: str) -> None:
        self._asked = deque(asked for asked in self._asked if asked.request_id != request_id)
        if self._answering == request_id:
            self._answering = None
            self._wake()

    def _wake(self) -> None:
        """Something is more urgent than the line being typed, unless that line is itself an answer still wanted."""
        self._changed.set()
        if self._answering is None or self._failure is not None:
            self._keyboard.wake()

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, running_turn: str | None = None) -> None:
        """Talks until the person leaves. `running_turn`: one that was under way before; it is waited for first.

        Raises:
            PodiumConnectionError: the stream can't go on.
        """
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            with self._keyboard.quiet():
                if running_turn is not None:
                    await self._await_turn(running_turn)
                while await self._exchange():
                    pass
        except LeftError:
            self._screen.status(None)
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def note(self, text: str) -> None:
        """Shows a faint line of our own."""
        self._screen.note(text)
        self._transcript.line_ended()

    async def close(self) -> None:
        """Lets go of everything."""
        await self.detach()
        await self._tasks.close()

    async def say(self, text: str) -> None:
        """Sends one message and waits until its turn is over."""
        stream = self._stream
        if stream is None:
            self.note("the agent is being restarted; try again in a moment")
            return
        if self._screen.terminal:
            self._transcript.expect_own(text)
        self._over.discard("")
        ack = await stream.send_message(text)
        if ack.turn_id is not None:
            await self._await_turn(ack.turn_id)

    async def _exchange(self) -> bool:
        """One message and its answer; False when the person has left."""
        await self._answer_all()
        self._screen.status(None)
        typed = await self._keyboard.line()
        self._check()
        if typed is Key.WOKEN:
            return True
        if typed is Key.END:
            return False
        if typed is Key.INTERRUPT:
            self._interrupts += 1
            if self._interrupts > 1:
                return False
            self.note("Ctrl-C again leaves")
            return True
        self._interrupts = 0
        if isinstance(typed, str) and typed.strip():
            await self._do(typed.strip())
        return True

    async def _do(self, text: str) -> None:
        if text in ("/quit", "/exit"):
            raise LeftError
        if text in ("/help", "/?"):
            self.note(f"{HELP} · /quit")
            return
        try:
            await self.say(text)
        except PodiumConnectionError as error:
            if error.code in _FATAL:
                raise
            self._screen.write([Piece(f"✗ {error.detail}\n", Look.BAD)])

    async def _await_turn(self, turn_id: str) -> None:
        """Waits until a turn is over, answering what the agent asks meanwhile."""
        self._interrupts = 0
        while turn_id not in self._over and "" not in self._over and self._stream is not None:
            self._check()
            if self._asked:
                await self._answer_all()
            else:
                await self._tick()
        self._over.discard(turn_id)
        self._screen.status(None)

    async def _tick(self) -> None:
        while not self._asked and not self._changed.is_set():
            self._screen.status(self._transcript.status(self._clock.now_ms() - self._behind))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._changed.wait()
            if self._interrupts > 1:
                raise LeftError
        self._changed.clear()

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────

    async def _answer_all(self) -> None:
        while self._asked:
            asked = self._asked.popleft()
            self._answering = asked.request_id
            answer = await self._read(asked)
            if self._answering is not None and self._stream is not None and answer is not None:
                self._answering = None
                await self._send_answer(self._stream, answer)
            self._answering = None

    async def _read(self, asked: Asked) -> Any:
        """The answer of the person; None when somebody else was faster."""
        given: dict[str, Any] = {}
        for prompt in asked.prompts:
            self._screen.status(None)
            self._keyboard.forget()
            self._screen.write(prompt.pieces())
            while (value := prompt.read(typed := await self._typed(prompt))) is None:
                if typed == _NOTHING or self._answering is None:
                    return None if self._answering is None else asked.dismissal()
                self.note("type the number or the name of an option")
            given[prompt.id] = value
        return asked.answer(given)

    async def _typed(self, prompt: Any) -> str:
        typed = await self._keyboard.choose(prompt)
        self._check()
        return typed if isinstance(typed, str) else _NOTHING

    async def _send_answer(self, stream: PodiumConnection, answer: Any) -> None:
        try:
            await stream.send(Answer(answer))
        except PodiumConnectionError as error:
            if error.code is not ErrorCode.ALREADY_RESOLVED:
                raise
            self.note("answered elsewhere already")

    # ── Ctrl-C and failure ───────────────────────────────────────────────────────────────────────────────────

    def _interrupted(self) -> None:
        """Ctrl-C while the agent works: the first cancels the turn, the second leaves."""
        self._interrupts += 1
        self._changed.set()
        if self._interrupts == 1 and self._stream is not None:
            self.note("cancelling; Ctrl-C again leaves")
            self._tasks.start(self._cancel(self._stream), "cancel")

    async def _cancel(self, stream: PodiumConnection) -> None:
        try:
            await stream.send(Cancel())
        except PodiumConnectionError as error:
            if error.code is not ErrorCode.NO_TURN:
                self.note(f"not cancelled: {error.detail}")

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._interrupts > 1:
            raise LeftError


_NOTHING: Final = ""
_OF_THE_INSTANCE: Final = frozenset({"terminating", "terminated", "state.status"})
_FATAL: Final = frozenset(
    {
        ErrorCode.UNREACHABLE,
        ErrorCode.UNAUTHENTICATED,
        ErrorCode.INSTANCE_NOT_FOUND,
        ErrorCode.INSTANCE_STOPPING,
        ErrorCode.INSTANCE_FAILED,
    }
)
