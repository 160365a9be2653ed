"""A person and an agent, both played by the test."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest

from podium.base.clock import ManualClock
from podium.cli.chat.asking import Prompt
from podium.cli.chat.conversation import Conversation
from podium.cli.chat.keyboard import Key
from podium.cli.chat.screen import Screen
from podium.cli.chat.transcript import Transcript
from podium.client import PodiumConnection, PodiumConnectionError, PodiumEvent
from podium.client.inbox import Inbox
from podium.client.timing import system_timing
from podium.wire.commands import Ack, Answer, AnswerContent, Cancel, Command, Connected
from podium.wire.errors import ErrorCode, PodiumError


class ScriptedKeyboard:
    """Types what the test gives it, and then Ctrl-D. A callable is called when its turn comes."""

    def __init__(self) -> None:
        self.typed: list[str | Key | Callable[[], None]] = []
        self.prompts: list[Prompt] = []
        self.woken = asyncio.Event()

    async def line(self) -> str | Key:
        return await self._next()

    async def choose(self, prompt: Prompt) -> str | Key:
        self.prompts.append(prompt)
        return await self._next()

    def wake(self) -> None:
        self.woken.set()

    def forget(self) -> None:
        pass

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        yield

    async def _next(self) -> str | Key:
        typed = self.typed.pop(0) if self.typed else Key.END
        if callable(typed):
            self.woken.clear()
            typed()
            await asyncio.wait_for(self.woken.wait(), 5)
            return Key.WOKEN
        return typed


class PlayedAgent(PodiumConnection):
    """A stream without a socket: the test says what comes after each command."""

    def __init__(self) -> None:
        async def no_dial(instance_id: str, after: int | None) -> Any:
            raise AssertionError("nothing is dialled")

        super().__init__(no_dial, "inst-a", 0, system_timing())
        self.inbox = Inbox()
        self.commands: list[Command] = []
        self.answers: list[Callable[[], None]] = []
        self.seq = 0

    @property
    def events(self) -> AsyncIterator[PodiumEvent]:
        return self.inbox

    async def send(self, command: Command, seconds: float = 30.0) -> Ack:
        self.commands.append(command)
        if self.answers:
            self.answers.pop(0)()
        return Ack(turn_id="turn-1", message_id="msg-1")

    async def close(self) -> None:
        self.inbox.close()

    def say(self, kind: str, **content: Any) -> None:
        self.seq += 1
        self.inbox.put(PodiumEvent(kind, content, turn_id="turn-1", seq=self.seq, ts=self.seq * 1000))

    def finish(self, text: str) -> None:
        self.say("stream_update", text=text)
        self.say("stream_end", text=text, stop_reason="end_turn")
        self.say("checkpoint", turn_id="turn-1", seq=self.seq, state_version=1, iteration=0)


class Stage:
    """Everything a conversation needs."""

    def __init__(self) -> None:
        self.keyboard = ScriptedKeyboard()
        self.agent = PlayedAgent()
        self.out = io.StringIO()
        screen = Screen(terminal=False, colours=False, out=self.out)
        self.conversation = Conversation(self.keyboard, screen, Transcript(), ManualClock())

    async def run(self) -> str:
        self.conversation.attach(self.agent)
        async with asyncio.timeout(5):
            await self.conversation.run()
        return self.out.getvalue()

    def ask(self) -> None:
        options = [
            {"option_id": "yes", "name": "Allow", "kind": "allow_once"},
            {"option_id": "no", "name": "Reject", "kind": "reject_once"},
        ]
        self.agent.say("tool.permission_requested", request_id="req-1", tool_name="write", options=options)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    await made.conversation.close()


async def test_each_line_is_a_message_and_the_next_waits_for_its_answer(stage: Stage) -> None:
    stage.keyboard.typed = ["hello", "  ", "bye"]
    stage.agent.answers = [lambda: stage.agent.finish("Hi."), lambda: stage.agent.finish("Bye.")]
    said = await stage.run()
    assert [msgspec.to_builtins(command)["content"]["text"] for command in stage.agent.commands] == ["hello", "bye"]
    assert said == "Hi.\nBye.\n"


async def test_a_permission_is_asked_and_its_answer_sent(stage: Stage) -> None:
    stage.keyboard.typed = ["do it", "maybe", "1"]
    stage.agent.answers = [stage.ask, lambda: stage.agent.finish("Done.")]
    said = await stage.run()
    assert stage.agent.commands[1] == Answer(AnswerContent("req-1", option_id="yes"))
    assert "? allow write?\n  1 Allow     2 Reject\n" in said
    assert "type the number or the name of an option" in said


async def test_whoever_does_not_answer_refuses(stage: Stage) -> None:
    stage.keyboard.typed = ["do it", Key.END]
    stage.agent.answers = [stage.ask, lambda: stage.agent.finish("Then not.")]
    await stage.run()
    assert stage.agent.commands[1] == Answer(AnswerContent("req-1", option_id="no"))


async def test_a_question_answered_elsewhere_is_not_answered_again(stage: Stage) -> None:
    def elsewhere() -> None:
        stage.agent.say("tool.approval_resolved", request_id="req-1", outcome="selected", option_id="no", by="client")
        stage.agent.finish("I was told.")

    stage.keyboard.typed = ["do it", elsewhere]
    stage.agent.answers = [stage.ask]
    said = await stage.run()
    assert len(stage.agent.commands) == 1
    assert "I was told." in said


async def test_a_question_that_comes_while_a_line_is_typed_goes_first(stage: Stage) -> None:
    stage.keyboard.typed = [stage.ask, "2"]
    await stage.run()
    assert stage.agent.commands == [Answer(AnswerContent("req-1", option_id="no"))]


async def test_ctrl_c_cancels_the_turn_and_a_second_one_leaves(stage: Stage) -> None:
    def interrupt() -> None:
        asyncio.get_running_loop().call_soon(stage.conversation._interrupted)

    def interrupt_again() -> None:
        asyncio.get_running_loop().call_soon(stage.conversation._interrupted)

    stage.keyboard.typed = ["long work"]
    stage.agent.answers = [interrupt, interrupt_again]
    said = await stage.run()
    assert isinstance(stage.agent.commands[1], Cancel)
    assert "cancelling; Ctrl-C again leaves" in said


async def test_ctrl_c_at_the_prompt_warns_first(stage: Stage) -> None:
    stage.keyboard.typed = [Key.INTERRUPT, Key.INTERRUPT, "never sent"]
    said = await stage.run()
    assert stage.agent.commands == []
    assert said == "Ctrl-C again leaves\n"


async def test_a_stream_that_can_not_go_on_ends_the_conversation_with_its_reason(stage: Stage) -> None:
    def stop() -> None:
        problem = PodiumError(ErrorCode.INSTANCE_STOPPING, "the instance was stopped")
        stage.agent.inbox.close(PodiumConnectionError("connect", problem))

    stage.keyboard.typed = [stop]
    with pytest.raises(PodiumConnectionError, match="stopped"):
        await stage.run()


async def test_what_was_said_before_begins_with_a_message_of_the_user(stage: Stage) -> None:
    stage.agent.info = Connected(1, "inst-a", "a", "d:1.0.0@00000000", "ready", last_seq=5)
    stage.agent.say("stream_update", text="the end of something old")
    stage.agent.say("message.user", text="earlier")
    stage.agent.finish("Answer.")
    stage.conversation.attach(stage.agent, from_message=True)
    stage.keyboard.typed = []
    for _ in range(10):
        await asyncio.sleep(0)
    assert stage.out.getvalue() == "› earlier\nAnswer.\n3.0 s\n"


async def test_a_crash_does_not_end_the_turn_that_is_run_again(stage: Stage) -> None:
    def crash() -> None:
        stage.agent.say("stream_update", text="half")
        stage.agent.say("terminated", reason="crashed", signal="SIGKILL")
        stage.agent.say("state.status", status="initializing", previous="running")
        stage.agent.say("stream_start", message_id="m", attempt=2)
        stage.agent.finish("whole")

    stage.keyboard.typed = ["work"]
    stage.agent.answers = [crash]
    said = await stage.run()
    assert "✗ the agent's process crashed (SIGKILL)\n↻ the agent was restarted; attempt 2\nwhole\n" in said


async def test_the_end_of_an_instance_before_this_one_is_not_shown(stage: Stage) -> None:
    stage.agent.inbox.put(PodiumEvent("terminated", {"reason": "stop"}, instance_id="inst-before", seq=1))
    stage.conversation.attach(stage.agent)
    await asyncio.sleep(0)
    assert stage.out.getvalue() == ""


async def test_slash_commands_are_not_sent(stage: Stage) -> None:
    stage.keyboard.typed = ["/help", "/quit", "never sent"]
    said = await stage.run()
    assert stage.agent.commands == []
    assert "Ctrl-D leaves" in said
