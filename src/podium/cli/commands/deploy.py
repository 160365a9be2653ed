"""`podium deploy`: packs an agent and uploads it."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.printer import Printer
from podium.cli.project import Project, provide_sdk
from podium.cli.reach import with_client
from podium.cli.upload import Progress, deploy
from podium.wire.manifest import ManifestError
from podium.wire.units import size

if TYPE_CHECKING:
    from podium.client import PodiumClient


@click.command("deploy")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=".")
@with_client()
async def command(podium: "PodiumClient", printer: Printer, directory: Path) -> None:
    """Pack DIRECTORY and upload it. The same files give the same deployment.

    .gitignore and .podiumignore are honoured; .venv, __pycache__, .git and the like are never packed.
    """
    project = Project(directory)
    provide_sdk(directory)
    try:
        with _bar(printer) as progress:
            deployment = await deploy(podium, project, progress=progress)
    except SyntaxError as error:
        raise ManifestError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    printer.note(f"deployed {size(deployment.size)}; start it with `podium chat {deployment.agent_type}`")
    printer.value(deployment, deployment.deployment_id)


@contextlib.contextmanager
def _bar(printer: Printer) -> Iterator[Progress | None]:
    if printer.as_json or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label="uploading", file=sys.stderr, width=32, show_pos=False) as bar:

        def progress(sent: int, whole: int) -> None:
            bar.length = whole
            bar.update(sent - bar.pos)

        yield progress
