"""Where a path leads when symbolic links on it are followed, inside a workspace and never out of it."""

from collections.abc import Callable
from typing import Final

from chronicle.model.errors import InvalidPathError
from chronicle.model.iterations import Version

HOPS_MAX: Final = 40
"""Links followed before it is called a loop, as in Linux (path_resolution(7))."""


def followed(path: bytes, lookup: Callable[[bytes], Version | None]) -> tuple[bytes, Version | None]:
    """The path without links on it, and what is there (None: nothing). `lookup` tells what is at a path, links not followed.

    Raises:
        InvalidPathError: a link leads out of the workspace (an absolute target, or `..` above its root), or in a circle.
    """
    there = lookup(path)
    if there is not None and there.type != "symlink":
        return path, there
    todo, done, hops = path.split(b"/")[::-1], list[bytes](), 0
    found: Version | None = None
    while todo:
        part = todo.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not done:
                raise _leaves(path)
            done.pop()
            continue
        found = lookup(b"/".join((*done, part)))
        if found is None:
            return path, None
        if found.type != "symlink":
            done.append(part)
            continue
        hops += 1
        target = found.target or b""
        if target.startswith(b"/"):
            raise _leaves(path)
        if hops > HOPS_MAX:
            raise InvalidPathError(path, "its symbolic links lead in a circle")
        todo += target.split(b"/")[::-1]
    ended = b"/".join(done)
    return ended, lookup(ended)


def _leaves(path: bytes) -> InvalidPathError:
    return InvalidPathError(path, "a symbolic link on it leads out of the workspace")
