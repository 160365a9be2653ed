"""`podium stop`: stops instances."""

from typing import TYPE_CHECKING

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("stop")
@click.argument("instances", nargs=-1, required=True)
@with_client()
async def command(podium: "PodiumClient", printer: Printer, instances: tuple[str, ...]) -> None:
    """Stop INSTANCES. State, conversation, log and workspace stay: `podium create --agent` continues the agent."""
    stopped = []
    for name in instances:
        instance_id = await instance_named(podium, name)
        await podium.stop_instance(instance_id)
        stopped.append(instance_id)
        printer.note(f"stopped {instance_id}")
    if printer.as_json:
        printer.json(stopped)
