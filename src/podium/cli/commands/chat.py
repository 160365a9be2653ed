"""`podium chat`: talk to an agent."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.place import find_data
from podium.cli.printer import Printer
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("chat")
@click.argument("name", metavar="AGENT_TYPE|INSTANCE")
@click.option("--new", "fresh", is_flag=True, help="Begin with a new agent.")
@click.option("--agent", "agent_id", help="Talk to this agent, or give a new one this id.")
@click.option("--thinking", "show_thinking", is_flag=True, help="Show thoughts instead of folding them.")
@with_client()
async def command(
    podium: "PodiumClient", printer: Printer, name: str, *, fresh: bool, agent_id: str | None, show_thinking: bool
) -> None:
    """Talk to an agent. The conversation goes on where it was left.

    Ctrl-C cancels the running turn, twice leaves. With a pipe instead of a terminal each line is a message (or the
    answer to what the agent asks), and the answers are plain text.
    """
    from podium.cli.chat.opening import Wanted, find_or_create, make_conversation, talk

    if printer.as_json:
        raise click.UsageError("chat is for people; `podium send --json` and `podium events --json` are for programs")
    instance_id = await find_or_create(podium, Wanted(name, agent_id, fresh, show_thinking))
    conversation, screen = make_conversation(find_data(Path.cwd(), os.environ), show_thinking=show_thinking)
    try:
        await talk(podium, instance_id, conversation, screen)
    finally:
        await conversation.close()
