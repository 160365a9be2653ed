"""`chronicle` and its commands."""

import click

from chronicle.cli.commands.changing import checkpoint, fork, restore
from chronicle.cli.commands.keeping import du, fsck, gc
from chronicle.cli.commands.mounting import mount, status, unmount
from chronicle.cli.commands.moving import export, import_
from chronicle.cli.commands.reading import at, cat, diff, history, log, watch


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def chronicle() -> None:
    """A directory that remembers every version of every file, whoever wrote it.

    `chronicle mount DIR` makes one. Every command has --help and --json.
    """


for command in (
    *(mount, unmount, status),
    *(log, history, cat, at, diff, watch),
    *(restore, checkpoint, fork),
    *(gc, fsck, du),
    *(export, import_),
):
    chronicle.add_command(command)
