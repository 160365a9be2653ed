"""How a conversation begins: which instance is meant, and what is shown of what was said before."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from podium.base.clock import SystemClock
from podium.cli.chat.conversation import HELP, Conversation
from podium.cli.chat.keyboard import Keyboard, PipedKeyboard, TerminalKeyboard
from podium.cli.chat.screen import Screen
from podium.cli.chat.transcript import Transcript
from podium.cli.naming import instance_named, newest_agent
from podium.cli.printer import colours_wanted
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.ids import is_made_id
from podium.wire.rest import InstanceCreate

if TYPE_CHECKING:
    from podium.client import PodiumClient

TAIL_EVENTS: Final = 120
"""How many of the last events are shown when a conversation is resumed."""


class Wanted(NamedTuple):
    """What was asked for on the command line."""

    name: str
    agent_id: str | None = None
    fresh: bool = False
    show_thinking: bool = False


async def find_or_create(podium: "PodiumClient", wanted: Wanted) -> str:
    """The instance to talk to: the one named; else the newest of the type; else the newest agent of the type, woken
    or continued; else a new agent."""
    if is_made_id("inst", wanted.name):
        return wanted.name
    if wanted.fresh or wanted.agent_id is not None:
        made = await podium.instances.create(InstanceCreate(wanted.name, agent_id=wanted.agent_id))
        return made.instance_id
    try:
        return await instance_named(podium, wanted.name)
    except PodiumError as error:
        if error.code is not ErrorCode.INSTANCE_NOT_FOUND:
            raise
    known = await newest_agent(podium, wanted.name.partition(":")[0])
    agent_id = known.agent_id if known is not None else None
    made = await podium.instances.create(InstanceCreate(wanted.name, agent_id=agent_id))
    return made.instance_id


def make_conversation(data: Path | None, *, show_thinking: bool) -> tuple[Conversation, Screen]:
    """A conversation on this process's terminal, or on its pipes."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    colours = colours_wanted(os.environ, terminal=sys.stdout.isatty())
    screen = Screen(terminal=terminal, colours=colours)
    history = data / "chat-history" if data is not None and data.is_dir() else None
    keyboard: Keyboard = TerminalKeyboard(history) if terminal else PipedKeyboard()
    transcript = Transcript(show_thinking=show_thinking)
    return Conversation(keyboard, screen, transcript, SystemClock()), screen


async def talk(podium: "PodiumClient", instance_id: str, conversation: Conversation, screen: Screen) -> None:
    """Opens the stream, shows the end of what was said before, and talks until the person leaves."""
    info = await podium.instances.get(instance_id)
    if screen.terminal:
        screen.note(f"{info.deployment_id} · agent {info.agent_id} · {info.status}\n{HELP}")
    after = max(0, info.last_seq - TAIL_EVENTS) if screen.terminal else info.last_seq
    conversation.attach(await podium.connect(instance_id, after), from_message=True)
    await conversation.run(info.turn.turn_id if info.turn is not None else None)
