"""`podium agents`: durable identities."""

from typing import TYPE_CHECKING

import click

from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.group("agents")
def command() -> None:
    """List durable agents, or erase one."""


@command.command("list")
@with_client()
async def list_agents(podium: "PodiumClient", printer: Printer) -> None:
    """List agents, alive or not."""
    items = [item async for item in podium.agents.list()]
    rows = [
        (
            item.agent_id,
            item.agent_type,
            item.last_deployment_id,
            printer.status(item.status or "-"),
            moment(item.created_at),
        )
        for item in items
    ]
    printer.rows(items, ("agent", "type", "deployment", "status", "created"), rows)


@command.command("erase")
@click.argument("agent")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_client()
async def erase(podium: "PodiumClient", printer: Printer, agent: str, *, yes: bool) -> None:
    """Erase the state, messages, log and workspace of AGENT. There is no way back."""
    if not yes:
        click.confirm(f"erase everything {agent} knows?", abort=True, err=True)
    await podium.agents.remove(agent)
    printer.value({"agent_id": agent}, agent)
