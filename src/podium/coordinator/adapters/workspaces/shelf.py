"""Workspaces opened as libraries, kept for the next who asks: opening one takes milliseconds, asking it microseconds."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chronicle.model.errors import WorkspaceNotFoundError
from chronicle.workspace.library import Workspace

KEPT: Final = 32
"""Libraries that stay open although nobody uses them. Each has a few descriptors and a page cache of SQLite."""


@dataclass
class _Kept:
    workspace: Workspace
    users: int = 0
    dropped: bool = False


class Shelf:
    """Open libraries by name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._barred: set[str] = set()

    @contextmanager
    def borrow(self, name: str, root: Path) -> Iterator[Workspace]:
        """The library of the workspace at `root`.

        Raises:
            ChronicleError: it can't be opened.
        """
        kept = self._take(name, root)
        try:
            yield kept.workspace
        finally:
            self._give_back(kept)

    def drop(self, name: str) -> None:
        """Closes it, when its last user is done."""
        with self._lock:
            kept = self._kept.pop(name, None)
            if kept is None:
                return
            kept.dropped = True
            idle = kept.users == 0
        if idle:
            kept.workspace.close()

    @contextmanager
    def barred(self, name: str) -> Iterator[None]:
        """Nobody can borrow it meanwhile: it is being erased, and its name may be another's afterwards."""
        with self._lock:
            self._barred.add(name)
        self.drop(name)
        try:
            yield
        finally:
            with self._lock:
                self._barred.discard(name)

    def close(self) -> None:
        """Closes all."""
        with self._lock:
            names = list(self._kept)
        for name in names:
            self.drop(name)

    def _take(self, name: str, root: Path) -> _Kept:
        with self._lock:
            self._refuse_barred(name)
            kept = self._kept.get(name)
            if kept is not None:
                self._kept.move_to_end(name)
                kept.users += 1
                return kept
        opened = _Kept(Workspace.open(root), users=1)
        try:
            with self._lock:
                self._refuse_barred(name)
                other = self._kept.get(name)
                if other is None:
                    self._kept[name] = opened
                    return opened
                other.users += 1
        except WorkspaceNotFoundError:
            opened.workspace.close()
            raise
        opened.workspace.close()
        return other

    def _refuse_barred(self, name: str) -> None:
        if name in self._barred:
            raise WorkspaceNotFoundError(name)

    def _give_back(self, kept: _Kept) -> None:
        with self._lock:
            kept.users -= 1
            closing = [kept] if kept.dropped and kept.users == 0 else []
            for name in [name for name, each in self._kept.items() if each.users == 0]:
                if len(self._kept) <= KEPT:
                    break
                closing.append(self._kept.pop(name))
        for each in closing:
            each.workspace.close()
