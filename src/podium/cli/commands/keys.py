"""`podium keys`: who may do what."""

from typing import TYPE_CHECKING

import click

from podium.cli.commands.budget import Money
from podium.cli.printer import Printer, moment
from podium.cli.reach import with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.group("keys")
def command() -> None:
    """Make, list and revoke keys. Needs an admin key; `podium up` keeps one that is found by itself."""


@command.command("create")
@click.argument("tenant")
@click.option("--name", help="What the key is for.")
@click.option("--permission", "-p", multiple=True, help="Such as instances:write [all but config:write and admin].")
@click.option("--instances", type=click.IntRange(min=1), help="How many the tenant may have alive, by this key.")
@click.option("--deployments", type=click.IntRange(min=1), help="How many the tenant may have, by this key.")
@click.option(
    "--messages-per-minute", type=click.IntRange(min=1), help="How fast messages may come by REST, by this key."
)
@click.option("--connections", type=click.IntRange(min=1), help="How many WebSockets on one gateway, by this key.")
@click.option("--budget-per-day", type=Money(), metavar="AMOUNT", help="Sets what the tenant's agents may spend a day.")
@click.option("--budget-per-month", type=Money(), metavar="AMOUNT", help="The same for a month.")
@with_client(admin=True)
async def create(
    podium: "PodiumClient",
    printer: Printer,
    /,
    tenant: str,
    name: str | None,
    permission: tuple[str, ...],
    budget_per_day: int | None,
    budget_per_month: int | None,
    **limits: int | None,
) -> None:
    """Make a key for TENANT and print it: this is the only time it is shown.

    A limit that is not given is as the gateway is configured.
    """
    from podium.wire.budgets import Allowance
    from podium.wire.rest import KeyCreate, Permission, TenantLimits

    unknown = set(permission) - set(Permission)
    if unknown:
        raise click.UsageError(f"no permission {', '.join(sorted(unknown))}; there are {', '.join(Permission)}")
    wanted = KeyCreate(
        tenant_id=tenant,
        name=name,
        permissions=[Permission(p) for p in permission] or None,
        limits=TenantLimits(**limits, budget=Allowance(budget_per_day, budget_per_month)),
    )
    made = await podium.keys.create(wanted)
    printer.note(f"{made.key_id} of {made.tenant_id}: {', '.join(made.permissions)}")
    printer.value(made, made.key)


@command.command("list")
@with_client(admin=True)
async def list_keys(podium: "PodiumClient", printer: Printer) -> None:
    """List keys, without their secrets."""
    items = [item async for item in podium.keys.list()]
    rows = [
        (item.key_id, item.tenant_id, item.name or "-", moment(item.expires_at), " ".join(item.permissions))
        for item in items
    ]
    printer.rows(items, ("key", "tenant", "name", "expires", "permissions"), rows)


@command.command("revoke")
@click.argument("key_id")
@with_client(admin=True)
async def revoke(podium: "PodiumClient", printer: Printer, key_id: str) -> None:
    """Revoke a key: within 5 s nobody accepts it."""
    await podium.keys.revoke(key_id)
    printer.value({"key_id": key_id}, key_id)
