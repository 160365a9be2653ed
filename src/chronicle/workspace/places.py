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
            return Place(directory, b"")
    raise WorkspaceNotFoundError(str(absolute))


def _by_convention(directory: Path) -> Path | None:
    link = directory / os.fsdecode(MAGIC)
    for root in (store_beside(directory), link):
        if Layout(root).exists():
            return root.resolve()
    return None


def _mounted() -> dict[str, Path]:
    found = {}
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        if b" - fuse" not in line:
            continue
        before, _, after = line.partition(b" - ")
        source = unescaped(after.split(b" ")[1])
        if source.startswith(SOURCE_PREFIX):
            found[unescaped(before.split(b" ")[4])] = Path(source.removeprefix(SOURCE_PREFIX))
    return found


def unescaped(field: bytes) -> str:
    """A field of mountinfo as it was given: space, tab, newline and backslash are octal there (proc(5))."""
    for escaped, raw in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escaped, raw)
    return os.fsdecode(field)
