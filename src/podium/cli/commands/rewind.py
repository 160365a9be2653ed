"""`podium rewind`: takes an agent back."""

from typing import TYPE_CHECKING

import click

from podium.cli.moments import agent_named, moment_named
from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient

SHOWN_MOMENTS = 20
"""How many moments are listed when none is named."""


@click.command("rewind")
@click.argument("agent")
@click.option("--at", metavar="TURN|SEQ", help="To the end of this turn, or the newest moment not after this event.")
@click.option("--cancel", is_flag=True, help="Cancel a turn that runs or waits.")
@with_client()
async def command(podium: "PodiumClient", printer: Printer, agent: str, *, at: str | None, cancel: bool) -> None:
    """Take the state, conversation and files of AGENT back to a moment. Without --at, list its moments.

    Nothing is deleted: a rewind can be undone by another.
    """
    agent_id = await agent_named(podium, agent)
    if at is None:
        await _list(podium, printer, agent_id)
        return
    done = await podium.moments.rewind(agent_id, moment_named(at), cancel=cancel)
    printer.note(f"to undo it: podium rewind {agent} --at {done.undo}")
    printer.value(done, f"{agent_id} is as it was at event {done.moment.seq}")


async def _list(podium: "PodiumClient", printer: Printer, agent_id: str) -> None:
    items = []
    async for item in podium.moments.list(agent_id, SHOWN_MOMENTS):
        items.append(item)
        if len(items) == SHOWN_MOMENTS:
            break
    rows = [
        (item.turn_id or item.kind, str(item.seq), str(item.state_version), str(item.iteration), moment(item.ts))
        for item in items
    ]
    printer.rows(items, ("at", "event", "state", "files", "time"), rows)
