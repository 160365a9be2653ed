"""`podium secrets`: what the agents of a type know and nobody else."""

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from podium.cli.printer import Printer
from podium.cli.reach import assignments, with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.group("secrets")
def command() -> None:
    """Set, list and remove secrets of an agent type. Agents see them as environment variables."""


@command.command("set")
@click.argument("agent_type")
@click.argument("names", nargs=-1, required=True)
@with_client()
async def set_secrets(podium: "PodiumClient", printer: Printer, agent_type: str, names: tuple[str, ...]) -> None:
    """Set secrets of AGENT_TYPE.

    NAME takes the value of your variable NAME, NAME=- reads it from stdin, NAME=VALUE is possible too but leaves the
    value in your shell's history.
    """
    from podium.client import PodiumConnectionError

    values = assignments(names, "secret") or {}
    read = [name for name, value in values.items() if value == "-"]
    if len(read) > 1:
        raise click.UsageError("only one secret can come from stdin")
    if read:
        values[read[0]] = sys.stdin.read().rstrip("\n")
    await podium.secrets.put(agent_type, values)
    printer.value({"agent_type": agent_type, "names": sorted(values)}, "\n".join(sorted(values)))
    with contextlib.suppress(PodiumConnectionError):  # the key may not be allowed to look
        if await anext(podium.deployments.list(agent_type, 1), None) is None:
            printer.note(f"nothing of the type {agent_type} is deployed yet; is that its name?")


@command.command("list")
@click.argument("agent_type")
@click.option("--tenant", default="dev", envvar="PODIUM_TENANT", show_default=True, help="Whose secrets.")
@with_client(admin=True)
async def list_secrets(podium: "PodiumClient", printer: Printer, agent_type: str, tenant: str) -> None:
    """List the names of the secrets of AGENT_TYPE; needs an admin key."""
    podium.act_for(tenant)
    view = await podium.secrets.names(agent_type)
    if view.names or printer.as_json:
        printer.value(view, "\n".join(view.names))
    else:
        printer.note(f"{agent_type} has no secrets")


@command.command("remove")
@click.argument("agent_type")
@click.argument("name")
@with_client()
async def remove(podium: "PodiumClient", printer: Printer, agent_type: str, name: str) -> None:
    """Remove one secret of AGENT_TYPE."""
    await podium.secrets.remove(agent_type, name)
    printer.value({"agent_type": agent_type, "name": name}, name)
