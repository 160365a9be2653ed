"""`podium show`: one instance in full."""

from typing import TYPE_CHECKING

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client
from podium.wire.units import size

if TYPE_CHECKING:
    from podium.client import PodiumClient
    from podium.wire.rest import InstanceInfo


@click.command("show")
@click.argument("instance")
@with_client()
async def command(podium: "PodiumClient", printer: Printer, instance: str) -> None:
    """Show INSTANCE (an instance id, an agent id, or an agent type)."""
    info = await podium.instances.get(await instance_named(podium, instance))
    printer.facts(info, _facts(info, printer))


def _facts(info: "InstanceInfo", printer: Printer) -> list[tuple[str, str]]:
    facts = [
        ("instance", info.instance_id),
        ("agent", info.agent_id),
        ("deployment", info.deployment_id),
        ("status", printer.status(info.status) + (f" ({info.reason})" if info.reason else "")),
        ("coordinator", info.coordinator_id),
        ("created", moment(info.created_at)),
        ("turn", _turn(info)),
        ("open requests", str(info.pending_requests)),
        ("events", f"{info.last_seq}, state version {info.state_version}, iteration {info.head_iteration}"),
        ("uses", _uses(info)),
        ("restarts", str(info.restarts)),
        ("isolation", info.isolation),
        ("workspace", f"{info.workspace.path} ({info.workspace.backend})"),
    ]
    if info.config:
        import json

        facts.append(("config", json.dumps(info.config, ensure_ascii=False)))
    return facts


def _turn(info: "InstanceInfo") -> str:
    queued = f", {info.queue_depth} queued" if info.queue_depth else ""
    if info.turn is None:
        return f"none{queued}"
    return f"{info.turn.turn_id} since {moment(info.turn.started_at)}, attempt {info.turn.attempt}{queued}"


def _uses(info: "InstanceInfo") -> str:
    resources = info.resources
    return f"{size(resources.rss_bytes)}, {resources.cpu_seconds:.2f} s of CPU, {resources.processes} processes"
