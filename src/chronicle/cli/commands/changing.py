"""Commands that change a workspace: restore, checkpoint, fork."""

import os
from pathlib import Path

import click

from chronicle.cli.places import MOMENT_HELP, moment, target, workspace_option
from chronicle.cli.showing import as_json_option, show
from chronicle.model.errors import InvalidInputError
from chronicle.workspace.places import store_beside

_LISTED = 10
"""Paths told by name after a restore."""


@click.command(
    help="Makes the tree, or what is at PATH, as it was at a MOMENT. Only what differs is touched; the restore is recorded, so that "
    f"it can be undone. {MOMENT_HELP}"
)
@click.argument("moment_", metavar="MOMENT")
@click.argument("path", required=False, type=click.Path())
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@workspace_option
@as_json_option
def restore(moment_: str, path: str | None, dry_run: bool, workspace: str | None, as_json: bool) -> None:
    """`chronicle restore`."""
    opened, within = target(workspace, path)
    if path is None:
        within = b""  # all of it, wherever in it one stands
    with opened:
        before = opened.barrier()
        when = moment(opened, moment_)
        if dry_run:
            paths = [one.path for one in opened.diff(before, when, within)]
            show(
                {"iteration": before, "restored": when, "paths": paths, "dry_run": True},
                _told("would change", paths),
                as_json=as_json,
            )
            return
        done = opened.restore(when, within)
        undo = f"to undo this: chronicle restore {before}"
        text = _told("restored", done.paths) + (f"\nnow at iteration {done.head}; {undo}" if done.paths else "")
        show({"iteration": done.head, "before": before, "restored": when, "paths": done.paths}, text, as_json=as_json)


def _told(what: str, paths: list[bytes]) -> str:
    if not paths:
        return "nothing differs"
    lines = [f"  {os.fsdecode(path) or '.'}" for path in paths[:_LISTED]]
    more = [f"  and {len(paths) - _LISTED} more"] if len(paths) > _LISTED else []
    return "\n".join([f"{what} {len(paths)} path{'s' if len(paths) != 1 else ''}", *lines, *more])


@click.command(help="Names this moment, so that it can be asked for by LABEL.")
@click.argument("label")
@click.option("--turn", "turn_id", help="The turn that ended here.")
@workspace_option
@as_json_option
def checkpoint(label: str, turn_id: str | None, workspace: str | None, as_json: bool) -> None:
    """`chronicle checkpoint`."""
    opened, _ = target(workspace, None)
    with opened:
        made = opened.checkpoint(label, turn_id)
        show(made, f"iteration {made.iteration} is {label!r}", as_json=as_json)


@click.command(
    help="Makes a new workspace for the directory INTO that begins as this one was at a moment; takes as long whatever the size. "
    f"`chronicle mount INTO` then shows it. {MOMENT_HELP}"
)
@click.argument("into", type=click.Path())
@click.option("--at", "at", metavar="MOMENT", help="When; default: now.")
@click.option(
    "--store", type=click.Path(), help="Where the new workspace is kept; default: `.NAME.chronicle` beside INTO."
)
@workspace_option
@as_json_option
def fork(into: str, at: str | None, store: str | None, workspace: str | None, as_json: bool) -> None:
    """`chronicle fork`."""
    opened, _ = target(workspace, None)
    directory = Path(os.path.abspath(into))
    if directory.exists() and any(directory.iterdir()):
        raise InvalidInputError(f"{into} is not empty; choose another place")
    with opened:
        when = None if at is None else moment(opened, at)
        with opened.fork(Path(store) if store else store_beside(directory), when) as made:
            answer = {"workspace": made.root, "iteration": made.head, "workspace_id": made.settings.workspace_id}
            show(
                answer,
                f"{made.root} begins at iteration {made.head}; show it with: chronicle mount {into}",
                as_json=as_json,
            )
