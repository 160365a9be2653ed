"""Commands that only read: log, history, cat, at, diff, watch."""

import os
import sys
import time
from collections.abc import Iterator

import click

from chronicle.cli.places import MOMENT_HELP, moment, target, workspace_option
from chronicle.cli.showing import as_json_option, iteration_line, plain, show_each, size_of
from chronicle.model.iterations import Checkpoint, Difference, Entry, Iteration
from chronicle.workspace.library import Workspace

PAGE = 500
"""Iterations fetched at once."""


@click.command(help="What happened, newest first, at or below PATH (default: the current directory).")
@click.argument("path", required=False, type=click.Path())
@click.option("--limit", "-n", default=50, show_default=True, help="At most so many; 0: all.")
@click.option("--after", type=int, default=0, help="Only what came after this iteration.")
@click.option("--turn", "turn_id", help="Only what this turn did.")
@click.option("--checkpoints", is_flag=True, help="The named moments instead.")
@workspace_option
@as_json_option
def log(
    path: str | None,
    limit: int,
    after: int,
    turn_id: str | None,
    checkpoints: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """`chronicle log`."""
    opened, within = target(workspace, path)
    with opened:
        if checkpoints:
            named = opened.checkpoints(limit=limit or sys.maxsize)
            show_each(named, _checkpoint_line, as_json=as_json)
            return
        found = (one for one in _pages(opened, within, after) if turn_id is None or one.turn_id == turn_id)
        show_each(_first(found, limit), iteration_line, as_json=as_json)


def _pages(opened: Workspace, within: bytes, after: int) -> Iterator[Iteration]:
    before: int | None = None
    while page := opened.log(within, after=after, before=before, limit=PAGE, newest_first=True):
        yield from page
        before = page[-1].iteration


def _first(found: Iterator[Iteration], limit: int) -> Iterator[Iteration]:
    for count, one in enumerate(found, 1):
        yield one
        if count == limit:
            return


def _checkpoint_line(checkpoint: Checkpoint) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(checkpoint.timestamp / 1000))
    return f"{checkpoint.iteration:>8}  {when}  {checkpoint.label or '-'}  {checkpoint.turn_id or ''}".rstrip()


@click.command(help="Every version of one file, newest first, through renames and removals.")
@click.argument("path", type=click.Path())
@click.option("--limit", "-n", default=50, show_default=True, help="At most so many; 0: all.")
@workspace_option
@as_json_option
def history(path: str, limit: int, workspace: str | None, as_json: bool) -> None:
    """`chronicle history`."""
    opened, within = target(workspace, path)
    with opened:
        found = opened.history(within, limit=limit or sys.maxsize)
        if not found:
            opened.version(within)  # says that nothing was ever there
        show_each(found, iteration_line, as_json=as_json)


@click.command(help=f"Writes a file's content, as it is now or was at a moment, to standard output. {MOMENT_HELP}")
@click.argument("path", type=click.Path())
@click.option("--at", "at", metavar="MOMENT", help="When.")
@workspace_option
@as_json_option
def cat(path: str, at: str | None, workspace: str | None, as_json: bool) -> None:
    """`chronicle cat`."""
    opened, within = target(workspace, path)
    with opened:
        when = None if at is None else moment(opened, at)
        if as_json:
            version = opened.version(within, when)
            content = opened.read(within, when)
            show_each([_described(within, version, content)], str, as_json=True)
            return
        for piece in opened.pieces(within, when):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _described(path: bytes, version: object, content: bytes) -> dict[str, object]:
    try:
        text, encoding = content.decode(), "utf-8"
    except UnicodeDecodeError:
        import base64

        text, encoding = base64.b64encode(content).decode(), "base64"
    return {"path": path, **plain(version), "content": text, "encoding": encoding}


@click.command(help=f"The tree as it was at a MOMENT, at or below PATH. {MOMENT_HELP}")
@click.argument("moment_", metavar="MOMENT")
@click.argument("path", required=False, type=click.Path())
@click.option("--recursive", "-r", is_flag=True, help="Also what lies in directories below.")
@workspace_option
@as_json_option
def at(moment_: str, path: str | None, recursive: bool, workspace: str | None, as_json: bool) -> None:
    """`chronicle at`."""
    opened, within = target(workspace, path)
    with opened:
        when = moment(opened, moment_)
        found = opened.tree(when, within) if recursive else iter(opened.entries(within, when))
        show_each(found, _entry_line, as_json=as_json)


def _entry_line(entry: Entry) -> str:
    version = entry.version
    end = {"directory": "/", "symlink": f" -> {os.fsdecode(version.target or b'')}"}.get(version.type, "")
    size = size_of(version.size) if version.type == "file" else "-"
    return f"{version.mode & 0o7777:04o}  {size:>10}  {version.iteration:>8}  {os.fsdecode(entry.path)}{end}"


@click.command(
    help=f"What differs between two moments (BEFORE and AFTER; default: now), as unified diff. {MOMENT_HELP}"
)
@click.argument("before")
@click.argument("after", required=False)
@click.option("--path", "path", type=click.Path(), help="Only at or below this path.")
@click.option("--name-only", is_flag=True, help="Only which paths.")
@workspace_option
@as_json_option
def diff(
    before: str, after: str | None, path: str | None, name_only: bool, workspace: str | None, as_json: bool
) -> None:
    """`chronicle diff`."""
    opened, within = target(workspace, path)
    with opened:
        first = moment(opened, before)
        second = None if after is None else moment(opened, after)
        if as_json or name_only:
            show_each(opened.diff(first, second, within), _difference_line, as_json=as_json)
            return
        for text in opened.diff_text(first, second, within):
            click.echo(text, nl=False)


def _difference_line(difference: Difference) -> str:
    mark = "A" if difference.before is None else "D" if difference.after is None else "M"
    return f"{mark}  {os.fsdecode(difference.path)}"


@click.command(help="Shows what happens at or below PATH as it is recorded, until Ctrl-C.")
@click.argument("path", required=False, type=click.Path())
@click.option("--after", type=int, help="Begin after this iteration instead of now.")
@click.option("--count", type=int, help="End after so many.")
@workspace_option
@as_json_option
def watch(path: str | None, after: int | None, count: int | None, workspace: str | None, as_json: bool) -> None:
    """`chronicle watch`."""
    opened, within = target(workspace, path)
    with opened, opened.watch(after) as following:
        below = within + b"/"
        shown = 0
        for iteration in following:
            names = (iteration.path, iteration.from_ or b"")
            if within and not any(name == within or name.startswith(below) for name in names):
                continue
            show_each([iteration], iteration_line, as_json=as_json)
            sys.stdout.flush()
            shown += 1
            if shown == count:
                return
