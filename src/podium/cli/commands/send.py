"""`podium send`: one message, one answer."""

import sys
from typing import TYPE_CHECKING

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer
from podium.cli.reach import json_values, with_client
from podium.wire.errors import MAPPINGS, ErrorCode

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("send")
@click.argument("instance")
@click.argument("text", required=False)
@click.option("--meta", "-m", multiple=True, metavar="KEY=VALUE", help="Metadata beside the text.")
@click.option("--no-wait", is_flag=True, help="Return when the message is durable, without waiting for the answer.")
@with_client()
async def command(
    podium: "PodiumClient", printer: Printer, instance: str, text: str | None, *, meta: tuple[str, ...], no_wait: bool
) -> None:
    """Send TEXT (or what stands on stdin) to INSTANCE and print the answer. Exits with 70 when the turn failed."""
    message = text if text is not None else sys.stdin.read()
    instance_id = await instance_named(podium, instance)
    if no_wait:
        accepted = await podium.instances.send(instance_id, message, json_values(meta))
        printer.value(accepted, accepted.turn_id)
        return
    result = await podium.instances.ask(instance_id, message, json_values(meta))
    printer.value(result, result.text)
    if result.stop_reason != "end_turn":
        printer.note(f"stopped: {result.stop_reason}" + (f": {result.error}" if result.error else ""))
    if result.stop_reason == "error":
        printer.note(f"the log says why: podium logs {instance}")
        raise click.exceptions.Exit(MAPPINGS[ErrorCode.INTERNAL].exit)
