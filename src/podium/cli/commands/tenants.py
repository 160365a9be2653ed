"""`podium tenants`: what holds for all agents of a tenant together."""

from typing import TYPE_CHECKING

import click

from podium.cli.commands.budget import Money
from podium.cli.printer import Printer
from podium.cli.reach import with_client
from podium.wire.units import money

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.group("tenants")
def command() -> None:
    """What holds for all agents of a tenant together. Needs an admin key; `podium up` keeps one that is found by itself."""


@command.command("budget")
@click.argument("tenant")
@click.option("--per-day", type=Money(), metavar="AMOUNT", help='A day (UTC), such as "20 USD"; 0: no limit.')
@click.option("--per-month", type=Money(), metavar="AMOUNT", help="A month (UTC); 0: no limit.")
@with_client(admin=True)
async def budget(
    podium: "PodiumClient", printer: Printer, tenant: str, per_day: int | None, per_month: int | None
) -> None:
    """Show what all agents of TENANT together may spend and have spent, or set it.

    When it is spent they are paused, and go on where they were when the day or month is over or there is more. It is set whole: a
    period that is not given is as the daemons are configured.
    """
    from podium.wire.budgets import Allowance

    if per_day is None and per_month is None:
        found = await podium.budgets.of_tenant(tenant)
    else:
        found = await podium.budgets.set_of_tenant(tenant, Allowance(per_day, per_month))
    facts = [
        ("a day", money(found.per_day) if found.per_day else "no limit"),
        ("a month", money(found.per_month) if found.per_month else "no limit"),
        ("spent today", money(found.spent_today)),
        ("this month", money(found.spent_this_month)),
        ("paused", "yes" if found.paused else "no"),
    ]
    printer.facts(found, facts)
