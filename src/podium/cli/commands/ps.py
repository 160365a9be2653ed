"""`podium ps`: lists instances."""

from typing import TYPE_CHECKING

import click

from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client
from podium.wire.status import ALIVE, InstanceStatus

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("ps")
@click.option("--all", "-a", "everything", is_flag=True, help="Also those that are over.")
@click.option("--status", type=click.Choice([*InstanceStatus]), help="Only those with this status.")
@click.option("--type", "agent_type", help="Only those of this agent type.")
@click.option("--agent", "agent_id", help="Only those of this agent.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="At most this many.")
@with_client()
async def command(
    podium: "PodiumClient",
    printer: Printer,
    *,
    everything: bool,
    status: str | None,
    agent_type: str | None,
    agent_id: str | None,
    limit: int,
) -> None:
    """List instances, newest first: those that are alive, or all with --all."""
    listed = podium.instances.list(status=status, agent_type=agent_type, agent_id=agent_id)
    wanted = frozenset(InstanceStatus) if everything or status else ALIVE
    items = []
    async for item in listed:
        if item.status in wanted:
            items.append(item)
        if len(items) == limit:
            break
    rows = [
        (item.instance_id, item.agent_id, item.deployment_id, printer.status(item.status), moment(item.created_at))
        for item in items
    ]
    printer.rows(items, ("instance", "agent", "deployment", "status", "created"), rows)
