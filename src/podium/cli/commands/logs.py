"""`podium logs`: what the agent and its process wrote."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient
    from podium.wire.rest import LogRecord

LEVELS: Final = {"debug": "bright_black", "info": "green", "warning": "yellow", "error": "red", "critical": "red"}
LIMIT: Final = 1000


@click.command("logs")
@click.argument("instance")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@click.option("--level", type=click.Choice(list(LEVELS)), help="This level and above.")
@click.option("--tail", "-n", type=click.IntRange(0, LIMIT), default=100, show_default=True, help="Newest lines.")
@with_client()
async def command(
    podium: "PodiumClient", printer: Printer, instance: str, *, follow: bool, level: str | None, tail: int
) -> None:
    """Print the log of INSTANCE, oldest first."""
    instance_id = await instance_named(podium, instance)
    total = (await podium.instances.logs(instance_id, level, limit=1)).total
    last = 0
    if tail and total:
        page = await podium.instances.logs(instance_id, level, limit=tail, offset=max(0, total - tail))
        for record in page.items:
            _print(printer, record)
            last = record.id
    if follow:
        async for record in podium.instances.follow_logs(instance_id, level):
            if record.id > last:
                _print(printer, record)


def _print(printer: Printer, record: "LogRecord") -> None:
    if printer.as_json:
        printer.json(record)
        return
    time = datetime.fromtimestamp(record.ts / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    level = record.level[:4].upper().ljust(4)
    shown = click.style(level, fg=LEVELS.get(record.level)) if printer.colours else level
    fields = "".join(f" {name}={value}" for name, value in (record.fields or {}).items())
    origin = record.module or record.source
    printer.line(f"{printer.dim(time)} {shown} {printer.dim(origin)} {record.message}{printer.dim(fields)}")
