"""`podium fork`: a new agent that begins as another was."""

from typing import TYPE_CHECKING

import click

from podium.cli.moments import agent_named, moment_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("fork")
@click.argument("agent")
@click.option(
    "--at", metavar="TURN|SEQ", help="As it was at the end of this turn, or at this event; else as it is now."
)
@click.option("--as", "new_agent_id", metavar="ID", help="Id of the new agent.")
@with_client()
async def command(
    podium: "PodiumClient", printer: Printer, agent: str, *, at: str | None, new_agent_id: str | None
) -> None:
    """Make a new agent with the state, conversation and files that AGENT had at a moment."""
    agent_id = await agent_named(podium, agent)
    made = await podium.moments.fork(agent_id, moment_named(at) if at is not None else None, new_agent_id)
    printer.note(f"as {agent_id} was at event {made.moment.seq}, iteration {made.moment.iteration} of its files")
    printer.value(made, made.agent_id)
