"""Makes directories reachable under any user id, inside the mount namespace of one template.

A directory below one that others may not enter (`/root`, a 0700 data directory) can't be used under another user id.
Instead of opening it on the host, an empty file system is laid over the closed directory, in this namespace only,
and what is needed is bound back at its own path. It also hides everything else that was in there.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from podium.agent.process import linux

HIDDEN: Final = ("/root", "/home", "/run", "/srv", "/mnt", "/media", "/boot")
"""Where a host keeps what belongs to people and to its services: sockets of daemons above all, which no rule on files keeps anybody from."""


def closed_ancestor(path: Path) -> Path | None:
    """The outermost directory on the way to `path`, itself included, that not everyone may enter; None: all may."""
    for directory in [*reversed(path.parents), path]:
        mode = directory.stat().st_mode
        if stat.S_ISDIR(mode) and not mode & stat.S_IXOTH:
            return directory
    return None


def make_visible(paths: Iterable[str]) -> None:
    """Makes every one of `paths` (existing, real paths) reachable. Needs root and a private mount namespace.

    Raises:
        OSError: a mount was refused.
    """
    closed: dict[Path, list[Path]] = {}
    for path in map(Path, paths):
        ancestor = closed_ancestor(path)
        if ancestor is not None:
            closed.setdefault(ancestor, []).append(path)
    for ancestor, needed in closed.items():
        _reopen(ancestor, _outermost(needed))


def hide(directories: Iterable[str], needed: Iterable[str]) -> None:
    """Lays an empty file system over each of `directories`, and binds back what of `needed` lies in it.

    Raises:
        OSError: a mount was refused.
    """
    wanted = [Path(path) for path in needed]
    for directory in map(Path, directories):
        if directory.is_dir() and not directory.is_symlink() and directory not in wanted:
            _reopen(directory, _outermost([path for path in wanted if directory in path.parents]))


def _outermost(paths: list[Path]) -> list[Path]:
    """Without those that lie in another of them."""
    return [path for path in paths if not any(other in path.parents for other in paths)]


def _reopen(ancestor: Path, needed: list[Path]) -> None:
    opened = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in needed if path != ancestor]
    try:
        linux.mount_tmpfs(str(ancestor))
        for path, descriptor in opened:
            path.mkdir(mode=0o755, parents=True)
            linux.mount_bind(f"/proc/self/fd/{descriptor}", str(path))
    finally:
        for _, descriptor in opened:
            os.close(descriptor)
