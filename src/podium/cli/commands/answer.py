"""`podium answer`: resolves a question or permission."""

from typing import TYPE_CHECKING

import click

from podium.cli.naming import instance_named
from podium.cli.printer import Printer
from podium.cli.reach import json_values, with_client

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("answer")
@click.argument("instance")
@click.argument("request")
@click.argument("option", required=False)
@click.option("--set", "answers", multiple=True, metavar="QUESTION=ANSWER", help="Answer to one question; repeatable.")
@click.option("--dismiss", is_flag=True, help="Answer that there will be no answer.")
@with_client()
async def command(
    podium: "PodiumClient",
    printer: Printer,
    *,
    instance: str,
    request: str,
    option: str | None,
    answers: tuple[str, ...],
    dismiss: bool,
) -> None:
    """Answer REQUEST of INSTANCE: with the OPTION of a permission, with --set for questions, or --dismiss."""
    from podium.wire.rest import RequestAnswer

    if (option is not None) + bool(answers) + dismiss != 1:
        raise click.UsageError("give one of OPTION, --set, --dismiss")
    answer = RequestAnswer(option_id=option, answers=json_values(answers), dismissed=dismiss)
    await podium.instances.answer(await instance_named(podium, instance), request, answer)
    printer.value({"request_id": request}, request)
