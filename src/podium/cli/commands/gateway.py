"""`podium gateway`: the gateway alone, configured by the environment."""

import os
import sys

import click


@click.command(
    "gateway",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the gateway in this process, as `python -m podium.gateway` would."""
    os.execv(sys.executable, [sys.executable, "-m", "podium.gateway", *arguments])
