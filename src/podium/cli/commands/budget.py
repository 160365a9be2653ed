"""`podium budget`: what an agent may spend."""

from typing import TYPE_CHECKING

import click

from podium.cli.moments import agent_named
from podium.cli.printer import Printer
from podium.cli.reach import with_client
from podium.wire.units import money, parse_money

if TYPE_CHECKING:
    from podium.client import PodiumClient


class Money(click.ParamType[int]):
    """An amount of money, as micro-dollars."""

    name = "money"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Micro-dollars."""
        try:
            return parse_money(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("budget")
@click.argument("agent")
@click.option("--set", "limit", type=Money(), metavar="AMOUNT", help='In all its life, such as "5 USD"; 0: no limit.')
@with_client()
async def command(podium: "PodiumClient", printer: Printer, agent: str, limit: int | None) -> None:
    """Show what AGENT may spend and has spent, or set it.

    An agent that has spent its budget is paused; it goes on where it was when there is more.
    """
    agent_id = await agent_named(podium, agent)
    budget = await (podium.budgets.get(agent_id) if limit is None else podium.budgets.set(agent_id, limit))
    allowed = money(budget.budget_micro_dollars) if budget.budget_micro_dollars else "no limit"
    facts = [
        ("budget", allowed),
        ("spent", money(budget.spent_micro_dollars)),
        ("paused", "yes" if budget.paused else "no"),
    ]
    printer.facts(budget, facts)
