"""`podium diff`: what changed in the files of an agent between two moments."""

from typing import TYPE_CHECKING

import click

from podium.cli.moments import agent_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("diff")
@click.argument("agent")
@click.argument("before")
@click.argument("after", required=False)
@click.option("--path", default="", help="Only this file or folder.")
@with_client()
async def command(
    podium: "PodiumClient", printer: Printer, agent: str, before: str, *, after: str | None, path: str
) -> None:
    """Show what changed in the files of AGENT from BEFORE to AFTER (else to now), as a unified diff.

    Moments are ids of turns (their ends), labels of checkpoints, or iterations.
    """
    agent_id = await agent_named(podium, agent)
    first = await podium.moments.iteration(agent_id, before)
    second = await podium.moments.iteration(agent_id, after) if after is not None else None
    if printer.as_json:
        printer.json(await podium.moments.differences(agent_id, first, second, path))
    else:
        click.echo(await podium.moments.diff(agent_id, first, second, path), nl=False)
