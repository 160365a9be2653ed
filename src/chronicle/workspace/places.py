"""Which workspace a path belongs to: the workspace's own directory, its mount point, or anything inside either.

A FUSE mount names its workspace as its source in `/proc/self/mountinfo`. A plain directory (backend `watch`) and a mount that is gone are
found by convention: `.NAME.chronicle` beside `NAME`; or by a link, `.chronicle`, that the `watch` backend keeps at the root.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

from chronicle.layout import Layout
from chronicle.model.errors import WorkspaceNotFoundError
from chronicle.model.paths import MAGIC
from chronicle.mount.device import mounts

SOURCE_PREFIX: Final = "chronicle:"
"""What the source of a mount begins with; the workspace's directory follows."""


class Place(NamedTuple):
    """A workspace, and where in it a path points (b"" for its root, and for paths of the workspace's own directory)."""

    root: Path
    within: bytes


def store_beside(directory: Path) -> Path:
    """Where the workspace of `directory` is kept when nothing else was said: `.NAME.chronicle` beside it."""
    return directory.parent / f".{directory.name}.chronicle"


def find(path: Path | str) -> Place:
    """The workspace that `path` belongs to.

    Raises:
        WorkspaceNotFoundError: none.
    """
    absolute = Path(os.path.abspath(path))
    mounted = _mounted()
    for directory in (absolute, *absolute.parents):
        root = mounted.get(str(directory)) or _by_convention(directory)
        if root is not None:
            within = b"" if absolute == directory else os.fsencode(absolute.relative_to(directory))
            return Place(root, within)
        if Layout(directory).exists():
            tree = Layout(directory).tree
            inside = absolute != tree and absolute.is_relative_to(tree)
            return Place(directory, os.fsencode(absolute.relative_to(tree)) if inside else b"")
    raise WorkspaceNotFoundError(str(absolute))


def _by_convention(directory: Path) -> Path | None:
    link = directory / os.fsdecode(MAGIC)
    for root in (store_beside(directory), link):
        if Layout(root).exists():
            return root.resolve()
    return None


def _mounted() -> dict[str, Path]:
    return {
        str(found.mountpoint): Path(found.source.removeprefix(SOURCE_PREFIX))
        for found in mounts()
        if found.source.startswith(SOURCE_PREFIX)
    }
