"""What the arguments of commands mean: paths, moments, spans of time, sizes."""

import os
import re
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import click

from chronicle.model.errors import InvalidInputError
from chronicle.workspace.library import Workspace
from chronicle.workspace.places import find

F = TypeVar("F", bound=Callable[..., Any])

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}

MOMENT_HELP: Final = "A moment is the number of an iteration, `head`, `head~3`, a checkpoint's label, a turn's id, or a time ago: `10m`, `2h`, `1d`."


class Target(NamedTuple):
    """A workspace and a path in it."""

    workspace: Workspace
    path: bytes


def workspace_option(function: F) -> F:
    """`--workspace`."""
    return click.option(
        "--workspace",
        "-w",
        type=click.Path(),
        help="The workspace: its own directory, or where it is mounted. Paths are then relative to it. "
        "Without it, it is the one that the path, or the current directory, lies in.",
    )(function)


def target(workspace: str | None, path: str | None) -> Target:
    """The workspace and the path in it that a command is about.

    Raises:
        WorkspaceNotFoundError: there is no workspace.
    """
    if workspace is not None:
        return Target(Workspace.open(workspace), os.fsencode(path or ""))
    place = find(path or ".")
    return Target(Workspace.open(place.root), place.within)


def moment(workspace: Workspace, name: str) -> int:
    """The moment that a person means (see `MOMENT_HELP`).

    Raises:
        CheckpointNotFoundError, IterationNotFoundError: there is none.
    """
    back = re.fullmatch(r"head~(\d+)", name)
    if back:
        return max(0, workspace.head - int(back[1]))
    ago = re.fullmatch(r"(\d+)([smhdw])", name)
    if ago:
        return workspace.moment_of(int((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1000))
    return workspace.moment(name)


def span_s(text: str) -> int:
    """`30d` in seconds. Raises InvalidInputError."""
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if not found:
        raise InvalidInputError(f"{text!r} is no span of time; write 90s, 10m, 2h, 30d or 4w")
    return int(found[1]) * _SECONDS[found[2]]


def size_bytes(text: str) -> int:
    """`10g` in bytes. Raises InvalidInputError."""
    found = re.fullmatch(r"(\d+)([kmgt]?)(i?b)?", text.lower())
    if not found:
        raise InvalidInputError(f"{text!r} is no size; write 500m, 10g, or bytes")
    return int(found[1]) * _BYTES[found[2]]
