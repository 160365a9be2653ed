"""`podium deployments`: what is in the registry."""

from typing import TYPE_CHECKING

import click

from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client
from podium.wire.units import size

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.group("deployments")
def command() -> None:
    """List deployments, or remove one."""


@command.command("list")
@click.option("--type", "agent_type", help="Only those of this agent type.")
@with_client()
async def list_deployments(podium: "PodiumClient", printer: Printer, agent_type: str | None) -> None:
    """List deployments."""
    items = [item async for item in podium.deployments.list(agent_type)]
    rows = [(item.deployment_id, item.runtime, size(item.size), moment(item.created_at)) for item in items]
    printer.rows(items, ("deployment", "runtime", "size", "created"), rows)


@command.command("remove")
@click.argument("deployment")
@with_client()
async def remove(podium: "PodiumClient", printer: Printer, deployment: str) -> None:
    """Remove DEPLOYMENT; refused while an instance uses it."""
    await podium.deployments.remove(deployment)
    printer.value({"deployment_id": deployment}, deployment)
