"""`podium acp`: an agent for an editor, over stdin and stdout."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.failures import ConfigurationError
from podium.cli.place import find_settings
from podium.cli.reach import data_option

if TYPE_CHECKING:
    from podium.client import ClientSettings


@click.command("acp")
@click.option("--agent", "deployment", required=True, metavar="TYPE", help="Agent type, or any deployment reference.")
@click.option(
    "--sessions",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the list of sessions is kept [podium/acp in XDG_DATA_HOME].",
)
@data_option
def command(deployment: str, sessions: Path | None, data: Path | None) -> None:
    """Speak the Agent Client Protocol on stdin and stdout: an editor starts this and talks to an agent of TYPE.

    Nothing but the protocol is written to stdout. Conversations are kept, and go on when the editor is started again.
    """
    import asyncio
    import logging

    from diminuendo.acp.stdio import Launch, NoKeyError, serve
    from podium.wire.ids import is_agent_type

    if not is_agent_type(deployment.partition(":")[0]):
        raise click.UsageError(f"{deployment!r} is no agent type and no reference to a deployment")

    logging.basicConfig(level=logging.WARNING, format="podium acp: %(levelname)s %(name)s: %(message)s")

    def settings() -> "ClientSettings":
        try:
            return find_settings(Path.cwd(), os.environ, data, admin=False)
        except ConfigurationError as error:
            raise NoKeyError(str(error)) from error

    asyncio.run(serve(Launch(deployment, settings, sessions or _default_place())))


def _default_place() -> Path:
    """`podium/acp` in the XDG data home."""
    base = os.environ.get("XDG_DATA_HOME")
    home = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share"
    return home / "podium" / "acp"
