"""`podium cancel`: ends the running turn."""

from typing import TYPE_CHECKING

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client
from podium.wire.errors import ErrorCode, PodiumError

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("cancel")
@click.argument("instance")
@click.option("--turn", "turn_id", help="This turn, rather than the running one.")
@with_client()
async def command(podium: "PodiumClient", printer: Printer, instance: str, turn_id: str | None) -> None:
    """Cancel the running turn of INSTANCE."""
    instance_id = await instance_named(podium, instance)
    wanted = turn_id or await _running(podium, instance_id)
    await podium.instances.cancel(instance_id, wanted)
    printer.value({"turn_id": wanted}, wanted)


async def _running(podium: "PodiumClient", instance_id: str) -> str:
    turn = (await podium.instances.get(instance_id)).turn
    if turn is None:
        raise PodiumError(ErrorCode.NO_TURN, "no turn is running")
    return turn.turn_id
