"""`podium create`: starts an instance."""

from typing import TYPE_CHECKING, Any, get_args

import click

from podium.cli.printer import Printer
from podium.cli.reach import assignments, json_values, with_client
from podium.wire.manifest import Durability, LimitsTable

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("create")
@click.argument("deployment")
@click.option("--agent", "agent_id", help="Continue this agent, or give a new one this id.")
@click.option("--config", "-c", multiple=True, metavar="KEY=VALUE", help="Configuration; a dotted key nests.")
@click.option("--env", "-e", multiple=True, metavar="NAME=VALUE", help="Environment variable; NAME alone takes yours.")
@click.option("--secret", "-s", multiple=True, metavar="NAME", help="Secret from your variable NAME.")
@click.option("--memory", help="Memory limit, such as 512MiB.")
@click.option("--cpu", type=float, help="CPU limit in cores.")
@click.option("--idle-timeout", help="Sleep after, such as 15m; 0 is never.")
@click.option(
    "--durability",
    type=click.Choice(get_args(Durability)),
    help="What losing its host costs; sync: nothing that was shown.  [default: as its manifest says]",
)
@with_client()
async def command(
    podium: "PodiumClient", printer: Printer, /, deployment: str, agent_id: str | None, **options: Any
) -> None:
    """Start an instance of DEPLOYMENT (type, type:version or type:version@hash) and wait until it is ready."""
    from podium.wire.rest import InstanceCreate

    wanted = InstanceCreate(
        deployment_id=deployment,
        agent_id=agent_id,
        config=json_values(options["config"]),
        environment=assignments(options["env"], "environment"),
        secrets=assignments(options["secret"], "secret"),
        limits=_limits(options),
        idle_timeout=options["idle_timeout"],
    )
    made = await podium.instances.create(wanted)
    printer.note(f"agent {made.agent_id}, {made.deployment_id}, {made.status}")
    printer.value(made, made.instance_id)


def _limits(options: dict[str, Any]) -> LimitsTable | None:
    limits = LimitsTable(memory=options["memory"], cpu=options["cpu"], durability=options["durability"])
    return None if limits == LimitsTable() else limits
