"""`podium events`: the journal of an agent."""

from typing import TYPE_CHECKING, Any

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient
    from podium.client.event import PodiumEvent


@click.command("events")
@click.argument("instance")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Events after this number.")
@click.option("--limit", type=click.IntRange(1), help="At most this many (without --follow).")
@with_client()
async def command(
    podium: "PodiumClient", printer: Printer, instance: str, *, follow: bool, after: int, limit: int | None
) -> None:
    """Print the events of INSTANCE, oldest first; with --json one envelope a line."""
    instance_id = await instance_named(podium, instance)
    if not follow:
        async for event in podium.instances.events(instance_id, after, limit):
            _print(printer, event, event.seq, event.message_type, event.content)
        return
    async with await podium.connect(instance_id, after) as stream:
        async for received in stream.events:
            if received.seq:
                _print(printer, received, received.seq, received.kind, received.content or {})


def _print(printer: Printer, event: "PodiumEvent | Any", seq: int, kind: str, content: dict[str, Any]) -> None:
    if printer.as_json:
        printer.json(event)
        return
    import json

    text = json.dumps(content, ensure_ascii=False) if content else ""
    name = click.style(kind.ljust(26), fg="cyan") if printer.colours else kind.ljust(26)
    printer.line(f"{printer.dim(f'{seq:>6}')}  {name}  {text}")
