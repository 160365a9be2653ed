"""Commands that carry a workspace's files out and in: export, import."""

import sys
from pathlib import Path
from typing import BinaryIO, cast

import click

from chronicle.cli.places import MOMENT_HELP, moment, target, workspace_option
from chronicle.cli.showing import as_json_option, show, size_of
from chronicle.model.errors import InvalidInputError


@click.command(
    help="Writes the tree of a moment to the tar archive FILE (`-`: standard output; gzip when its name ends in `gz`), or with --git the "
    f"whole history, a commit for each checkpoint, to a new git repository FILE. {MOMENT_HELP}"
)
@click.argument("file", type=click.Path())
@click.option("--git", "as_git", is_flag=True, help="A git repository.")
@click.option("--bare", is_flag=True, help="With --git: a bare repository.")
@click.option("--at", "at", metavar="MOMENT", help="When; default: now.")
@click.option("--path", "path", type=click.Path(), help="Only what is at or below this path.")
@workspace_option
@as_json_option
def export(
    file: str, as_git: bool, bare: bool, at: str | None, path: str | None, workspace: str | None, as_json: bool
) -> None:
    """`chronicle export`."""
    if as_git and (at or path):
        raise InvalidInputError("--git exports the whole history; --at and --path are for archives")
    opened, within = target(workspace, path)
    if path is None:
        within = b""
    with opened:
        if as_git:
            done = opened.export_git(file, bare=bare)
            answer = {"repository": file, "commits": done.commits, "skipped": done.skipped}
            show(answer, f"{file}: {done.commits} commits, {len(done.skipped)} paths skipped", as_json=as_json)
            return
        when = None if at is None else moment(opened, at)
        if file == "-":
            opened.export_tar(sys.stdout.buffer, when, path=within)
            return
        with open(file, "xb") as out:
            entries = opened.export_tar(cast("BinaryIO", out), when, path=within, gzip=file.endswith("gz"))
    show({"archive": file, "entries": entries}, f"{file}: {entries} entries", as_json=as_json)


@click.command(
    "import",
    help="Brings files in: SOURCE is a directory, a tar archive (`-`: standard input), or with --git a repository, whose commits become "
    "checkpoints. What is there of other names stays; what changes is recorded.",
)
@click.argument("source", type=click.Path())
@click.option("--git", "as_git", is_flag=True, help="SOURCE is a git repository: its history, not only its files.")
@click.option("--revision", default="HEAD", show_default=True, help="With --git: up to which commit.")
@click.option("--into", type=click.Path(), help="The directory in the workspace to bring them into; default: its root.")
@workspace_option
@as_json_option
def import_(source: str, as_git: bool, revision: str, into: str | None, workspace: str | None, as_json: bool) -> None:
    """`chronicle import`."""
    opened, within = target(workspace, into)
    if into is None:
        within = b""
    with opened:
        if as_git:
            arrived = opened.import_git(source, within, revision=revision)
        elif source == "-":
            arrived = opened.import_tar(sys.stdin.buffer, within)
        elif Path(source).is_dir():
            arrived = opened.import_tree(source, within)
        elif not Path(source).exists():
            raise InvalidInputError(f"{source} is neither a directory nor an archive")
        else:
            with open(source, "rb") as stream:
                arrived = opened.import_tar(stream, within)
        answer = {
            "entries": arrived.entries,
            "size": arrived.size,
            "skipped": arrived.skipped,
            "iteration": opened.head,
        }
    show(answer, f"{arrived.entries} entries, {size_of(arrived.size)}; {len(arrived.skipped)} skipped", as_json=as_json)
