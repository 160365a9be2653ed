"""`podium coordinators`: the hosts."""

from typing import TYPE_CHECKING

import click

from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client
from podium.wire.units import size

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.group("coordinators")
def command() -> None:
    """List hosts, or drain one. Needs an admin key."""


@command.command("list")
@with_client(admin=True)
async def list_coordinators(podium: "PodiumClient", printer: Printer) -> None:
    """List the coordinators."""
    items = [item async for item in podium.coordinators.list()]
    rows = [
        (
            item.coordinator_id,
            item.url,
            printer.status(item.state),
            f"{item.load.agents}/{item.load.agents_limit}",
            f"{size(item.load.memory)}/{size(item.load.memory_limit)}",
            moment(item.started_at),
        )
        for item in items
    ]
    printer.rows(items, ("coordinator", "address", "state", "agents", "memory", "started"), rows)


@command.command("drain")
@click.argument("coordinator_id")
@with_client(admin=True)
async def drain(podium: "PodiumClient", printer: Printer, coordinator_id: str) -> None:
    """Take no new agents on a host, and move what runs there."""
    await podium.coordinators.drain(coordinator_id)
    printer.value({"coordinator_id": coordinator_id}, coordinator_id)
