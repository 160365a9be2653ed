"""`podium requests`: what an agent asks."""

from typing import TYPE_CHECKING

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient
    from podium.wire.rest import PendingRequest


@click.command("requests")
@click.argument("instance")
@click.option("--all", "-a", "everything", is_flag=True, help="Also those that are resolved.")
@with_client()
async def command(podium: "PodiumClient", printer: Printer, instance: str, *, everything: bool) -> None:
    """List the questions and permissions of INSTANCE; answer them with `podium answer`."""
    instance_id = await instance_named(podium, instance)
    items = [item async for item in podium.instances.requests(instance_id) if everything or item.status == "open"]
    rows = [
        (item.request_id, item.kind, printer.status(item.status), moment(item.expires_at), _asked(item))
        for item in items
    ]
    printer.rows(items, ("request", "kind", "status", "expires", "asked"), rows)


def _asked(request: "PendingRequest") -> str:
    content = request.content
    if request.kind == "permission":
        options = ", ".join(str(option.get("option_id")) for option in content.get("options", []))
        return f"{content.get('tool_name')}: {options}"
    return "; ".join(str(question.get("question")) for question in content.get("questions", []))
