"""`podium state`: what an agent remembers."""

import json
from typing import TYPE_CHECKING

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("state")
@click.argument("instance")
@click.option("--version", type=click.IntRange(0), help="The state as it was at this version.")
@with_client()
async def command(podium: "PodiumClient", printer: Printer, instance: str, version: int | None) -> None:
    """Print the state of INSTANCE as JSON; --json adds its version."""
    view = await podium.instances.state(await instance_named(podium, instance), version)
    printer.note(printer.dim(f"version {view.version}"))
    printer.value(view, json.dumps(view.state, indent=2, ensure_ascii=False))
