"""A workspace whose history is told change by change, and trees to compare with it."""

import os
import stat
from pathlib import Path
from typing import Any

from chronicle.layout import Layout, Settings
from chronicle.model.changes import DIRECTORY, REGULAR, Change, ChangeKind
from chronicle.model.iterations import Iteration, Version
from chronicle.store.history import History
from chronicle.store.pool import Pool

Seen = tuple[str, int, Any]
"""Type, permissions, and what it holds."""


class Past:
    """A workspace's own directory with history and pool, without anyone who serves it."""

    def __init__(self, root: Path, history: History | None = None) -> None:
        self.layout = Layout(root)
        self.layout.make(Settings(workspace_id=root.name))
        os.chmod(self.layout.tree, 0o755)
        if history is None:
            History.create(self.layout.history).close()
        self.history = History.open(self.layout.history, writable=True)
        self.pool = Pool.open(root / "pool")
        self._clock = 1_700_000_000_000

    def close(self) -> None:
        self.history.close()
        self.pool.close()

    def told(self, kind: ChangeKind, path: str | bytes, **facts: Any) -> Change:
        self._clock += 1000
        facts.setdefault("mtime_ns", self._clock * 1_000_000 + 123)
        return Change(kind, os.fsencode(path), self._clock, **facts)

    def change(self, kind: ChangeKind, path: str | bytes, **facts: Any) -> list[Iteration]:
        with self.history.batch() as batch:
            return batch.apply(self.told(kind, path, **facts))

    def write(self, path: str | bytes, data: bytes, mode: int = 0o644, **facts: Any) -> list[Iteration]:
        with self.pool.batch() as batch:
            stored = batch.add(data)
        return self.change("write", path, mode=REGULAR | mode, size=stored.size, digest=stored.digest, **facts)

    def mkdir(self, path: str | bytes, mode: int = 0o755) -> list[Iteration]:
        return self.change("mkdir", path, mode=DIRECTORY | mode)

    def symlink(self, path: str, target: str) -> list[Iteration]:
        return self.change("symlink", path, target=os.fsencode(target))

    def link(self, path: str, source: str) -> list[Iteration]:
        return self.change("link", path, source=os.fsencode(source))

    def delete(self, path: str) -> list[Iteration]:
        return self.change("delete", path)

    def rename(self, path: str, source: str) -> list[Iteration]:
        return self.change("rename", path, source=os.fsencode(source))

    def at(self, moment: int | None = None) -> dict[bytes, Seen]:
        """What the tree was at a moment, as `seen` says it of a directory."""
        found: dict[bytes, Seen] = {}
        first: dict[int, bytes] = {}
        for entry in self.history.walk(moment):
            version = entry.version
            if version.type == "file":
                name = first.setdefault(version.node, entry.path)
                if name != entry.path:
                    found[entry.path] = ("link", 0, name)
                    continue
            found[entry.path] = (version.type, _mode(version), self._content(version))
        return found

    def _content(self, version: Version) -> Any:
        match version.type:
            case "file":
                assert version.digest is not None
                return (self.pool.read(version.digest), version.mtime_ns, version.xattrs or {})
            case "symlink":
                return version.target
            case "special":
                return stat.S_IFMT(version.mode)
            case _:
                return None


def _mode(version: Version) -> int:
    return 0 if version.type == "symlink" else stat.S_IMODE(version.mode)


def seen(tree: Path, *, mtimes: bool = True) -> dict[bytes, Seen]:
    """What is in a directory now. Names of one file after the first are links to it."""
    found: dict[bytes, Seen] = {}
    first: dict[int, bytes] = {}
    pending = [b""]
    paths = []
    while pending:
        here = pending.pop()
        with os.scandir(os.fsencode(tree) + b"/" + here) as listing:
            for entry in listing:
                path = here + b"/" + entry.name if here else entry.name
                paths.append(path)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
    # Parents before children, siblings by name: as a history is walked.
    for path in sorted(paths, key=lambda path: path.split(b"/")):
        place = os.fsencode(tree) + b"/" + path
        there = os.lstat(place)
        mode = stat.S_IMODE(there.st_mode)
        if stat.S_ISDIR(there.st_mode):
            found[path] = ("directory", mode, None)
        elif stat.S_ISLNK(there.st_mode):
            found[path] = ("symlink", 0, os.readlink(place))
        elif stat.S_ISREG(there.st_mode):
            name = first.setdefault(there.st_ino, path)
            if name != path:
                found[path] = ("link", 0, name)
                continue
            with open(place, "rb") as file:
                found[path] = ("file", mode, (file.read(), there.st_mtime_ns, _xattrs(place)))
        else:
            found[path] = ("special", mode, stat.S_IFMT(there.st_mode))
    return found


def _xattrs(place: bytes) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.getxattr(place, name) for name in os.listxattr(place) if name.startswith("user.")}


def without_times(tree: dict[bytes, Seen]) -> dict[bytes, Seen]:
    """The same without modification times, which a history doesn't compare."""
    return {
        path: (kind, mode, (held[0], held[2]) if kind == "file" else held) for path, (kind, mode, held) in tree.items()
    }
