"""Random programs of file operations, run in step on a plain directory and on the mount.

A program is drawn from a seed, step by step, looking at the plain directory (so that most operations meet something). Every
step's outcome must be the same on both; what the directories hold must be the same after each.
"""

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.chronicle.calls import TWO_PATHS, outcome

NAMES = [
    b"a",
    b"b",
    b"src",
    b"main.py",
    b"notes.txt",
    b"\xff odd",
    b".hidden",
    b"data.bin",
    "naïve".encode(),
    b"n" * 60,
]


class Step(NamedTuple):
    """An operation with its arguments; paths are relative to the directory."""

    name: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.name} {[a if not isinstance(a, bytes) or len(a) < 80 else f'<{len(a)} bytes>' for a in self.arguments]}"

    def run(self, root: bytes) -> object:
        """What the operation answers below `root`."""
        return outcome(lambda: OPERATIONS[self.name](root, *self.arguments))


def _write(root: bytes, path: bytes, content: bytes, flags: int) -> object:
    descriptor = os.open(os.path.join(root, path), flags, 0o644)
    try:
        return os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _patch(root: bytes, path: bytes, offset: int, content: bytes) -> object:
    descriptor = os.open(os.path.join(root, path), os.O_RDWR)
    try:
        return os.pwrite(descriptor, content, offset), os.pread(descriptor, 64, max(0, offset - 8))
    finally:
        os.close(descriptor)


def _replace(root: bytes, path: bytes, content: bytes) -> object:
    beside = os.path.join(root, path) + b".new"
    with open(beside, "wb") as file:
        file.write(content)
    os.rename(beside, os.path.join(root, path))
    return "replaced"


def _read(root: bytes, path: bytes) -> object:
    with open(os.path.join(root, path), "rb") as file:
        return hash(file.read())


def _unlink_open(root: bytes, path: bytes, content: bytes) -> object:
    descriptor = os.open(os.path.join(root, path), os.O_RDWR)
    try:
        os.unlink(os.path.join(root, path))
        os.pwrite(descriptor, content, 0)
        return hash(os.pread(descriptor, 1 << 20, 0)), os.fstat(descriptor).st_nlink
    finally:
        os.close(descriptor)


def _rename_open(root: bytes, path: bytes, new: bytes, content: bytes) -> object:
    descriptor = os.open(os.path.join(root, path), os.O_WRONLY | os.O_APPEND)
    try:
        os.rename(os.path.join(root, path), os.path.join(root, new))
        return os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _pair(kind: str) -> Callable[[bytes, bytes, bytes], object]:
    return lambda root, old, new: TWO_PATHS[kind](os.path.join(root, old), os.path.join(root, new))


OPERATIONS: dict[str, Callable[..., object]] = {
    "create": lambda root, path, content: _write(root, path, content, os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "overwrite": lambda root, path, content: _write(root, path, content, os.O_WRONLY | os.O_TRUNC),
    "append": lambda root, path, content: _write(root, path, content, os.O_WRONLY | os.O_APPEND),
    "patch": _patch,
    "replace": _replace,
    "read": _read,
    "truncate": lambda root, path, size: os.truncate(os.path.join(root, path), size),
    "mkdir": lambda root, path: os.mkdir(os.path.join(root, path), 0o755),
    "rmdir": lambda root, path: os.rmdir(os.path.join(root, path)),
    "unlink": lambda root, path: os.unlink(os.path.join(root, path)),
    "unlink while open": _unlink_open,
    "rename while open": _rename_open,
    "symlink": lambda root, path, target: os.symlink(target, os.path.join(root, path)),
    "chmod": lambda root, path, mode: os.chmod(os.path.join(root, path), mode, follow_symlinks=True),
    "rename": _pair("rename"),
    "rename without replacing": _pair("rename without replacing"),
    "exchange": _pair("exchange"),
    "link": _pair("link"),
    "list": lambda root, path: sorted(set(os.listdir(os.path.join(root, path))) - {b".chronicle"}),
}

WEIGHTS = {
    "create": 14, "overwrite": 10, "append": 6, "patch": 6, "replace": 8, "read": 3, "truncate": 4, "mkdir": 6, "rmdir": 3,
    "unlink": 6, "unlink while open": 2, "rename while open": 3, "symlink": 3, "chmod": 3, "rename": 8,
    "rename without replacing": 1, "exchange": 2, "link": 3, "list": 2,
}  # fmt: skip


class Author:
    """Draws steps that suit what is in a directory."""

    def __init__(self, seed: int, root: bytes, *, without: frozenset[str] = frozenset()) -> None:
        self._lots = random.Random(seed)
        self._root = root
        self._kinds = [kind for kind in WEIGHTS if kind not in without]

    def step(self) -> Step:
        """The next step."""
        lots = self._lots
        kind = lots.choices(self._kinds, [WEIGHTS[kind] for kind in self._kinds])[0]
        directories, files, others = self._present()
        anything = files + others + directories[1:] or [b"missing"]
        any_file = files or [b"missing"]
        match kind:
            case "create":
                return Step(kind, (self._fresh(directories), self._content()))
            case "overwrite" | "append" | "replace" | "unlink while open":
                return Step(kind, (lots.choice(any_file), self._content()))
            case "patch":
                return Step(kind, (lots.choice(any_file), lots.randrange(0, 9000), self._content()))
            case "truncate":
                return Step(kind, (lots.choice(any_file), lots.choice([0, 1, 100, 4096, 70_000])))
            case "mkdir":
                return Step(kind, (self._fresh(directories),))
            case "symlink":
                return Step(kind, (self._fresh(directories), lots.choice([b"src", b"a/b", b"../x", b"nowhere"])))
            case "chmod":
                return Step(
                    kind,
                    (lots.choice(files + directories[1:] or [b"missing"]), lots.choice([0o644, 0o755, 0o600, 0o700])),
                )
            case "rename while open":
                return Step(kind, (lots.choice(any_file), self._fresh(directories), self._content()))
            case "rename" | "rename without replacing" | "exchange" | "link":
                new = lots.choice(anything) if lots.random() < 0.4 or kind == "exchange" else self._fresh(directories)
                return Step(kind, (lots.choice(anything), new))
            case "rmdir":
                return Step(kind, (lots.choice(directories[1:] or [b"missing"]),))
            case "list":
                return Step(kind, (lots.choice(directories),))
            case _:
                return Step(kind, (lots.choice(anything if kind == "unlink" else any_file),))

    def _fresh(self, directories: list[bytes]) -> bytes:
        return os.path.join(self._lots.choice(directories), self._lots.choice(NAMES))

    def _content(self) -> bytes:
        size = self._lots.choice([0, 1, 20, 700, 4096, 5000, 40_000])
        return self._lots.randbytes(min(size, 32)) * (size // 32 + 1)

    def _present(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        directories: list[bytes] = [b""]
        files: list[bytes] = []
        others: list[bytes] = []
        for parent, names, leaves in os.walk(self._root):
            names.sort()
            for name in (*names, *sorted(leaves)):
                path = os.path.join(parent, name)
                relative = path[len(self._root) + 1 :]
                mode = os.lstat(path).st_mode
                (directories if stat.S_ISDIR(mode) else files if stat.S_ISREG(mode) else others).append(relative)
        return directories, files, others


def contents(root: Path | bytes) -> dict[bytes, tuple[object, ...]]:
    """What history keeps of a tree: type and permissions, bytes, targets; by path."""
    top = os.fsencode(root)
    found: dict[bytes, tuple[object, ...]] = {}
    for parent, names, leaves in os.walk(top):
        if parent == top and b".chronicle" in names:
            names.remove(b".chronicle")  # the watching backend's own
        for name in (*names, *leaves):
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            what: object = None
            if stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    what = file.read()
            elif stat.S_ISLNK(mode):
                what = os.readlink(path)
                mode = stat.S_IFLNK
            found[path[len(top) + 1 :]] = (oct(mode), what)
    return found


__all__ = ["Author", "Step", "contents"]
