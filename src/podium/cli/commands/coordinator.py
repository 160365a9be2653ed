"""`podium coordinator`: the coordinator alone, configured by the environment."""

import os
import sys

import click


@click.command(
    "coordinator",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the coordinator in this process, as `python -m podium.coordinator` would."""
    os.execv(sys.executable, [sys.executable, "-m", "podium.coordinator", *arguments])
