"""A workspace with a recorder, and a hand that changes its tree and reports as a mount does."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chronicle.layout import Layout, Settings
from chronicle.model.changes import Change
from chronicle.model.iterations import Iteration
from chronicle.recording import Limits, Recorder, Token
from chronicle.store.history import History
from chronicle.store.pool import Pool

AT = 1_700_000_000_000


@dataclass
class Place:
    """A workspace whose tree is changed through methods named after what they do."""

    layout: Layout
    settings: Settings
    history: History
    pool: Pool
    recorder: Recorder
    told: list[Iteration]
    tokens: dict[int, Token] = field(default_factory=dict)

    def path(self, name: bytes) -> bytes:
        return os.fsencode(self.layout.tree) + b"/" + name

    def token(self, name: bytes) -> Token | None:
        """The newest token of the file at a path: tokens belong to files, whatever their names."""
        try:
            return self.tokens.get(os.lstat(self.path(name)).st_ino)
        except FileNotFoundError:
            return None

    def make(self, name: bytes, content: bytes) -> Token:
        """Writes a new file, or the same one anew in place, and closes it."""
        before = self.token(name)
        if before is not None:
            self.recorder.settle(before)
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.closed(name)

    def closed(self, name: bytes) -> Token:
        fd = os.open(self.path(name), os.O_RDONLY)
        seen = os.fstat(fd)
        token = self.tokens[seen.st_ino] = self.recorder.wrote(name, fd, seen.st_mode)
        return token

    def _goes(self, name: bytes) -> None:
        """A name goes, maybe the one by which the content was noted: only the mount knows the others."""
        token = self.token(name)
        if token is not None:
            self.recorder.keep(token, name)
            if os.lstat(self.path(name)).st_nlink == 1:
                del self.tokens[token.note.inode if token.note else 0]

    def unlink(self, name: bytes) -> None:
        self._goes(name)
        os.unlink(self.path(name))
        self.recorder.changed(Change(kind="delete", path=name, at=AT))

    def rename(self, source: bytes, name: bytes) -> None:
        self._goes(name)
        os.rename(self.path(source), self.path(name))
        self.recorder.changed(Change(kind="rename", path=name, source=source, at=AT))

    def link(self, source: bytes, name: bytes) -> None:
        os.link(self.path(source), self.path(name))
        self.recorder.changed(Change(kind="link", path=name, source=source, at=AT))

    def mkdir(self, name: bytes) -> None:
        os.mkdir(self.path(name))
        self.recorder.changed(Change(kind="mkdir", path=name, at=AT, mode=0o40755))

    def versions(self, name: bytes) -> list[bytes]:
        """All contents the path ever had, oldest first."""
        return [
            self.pool.read(bytes.fromhex(each.hash))
            for each in reversed(self.history.history(name, limit=1000))
            if each.hash is not None and each.kind in ("create", "modify")
        ]

    def kinds(self) -> list[tuple[str, bytes]]:
        return [(each.kind, each.path) for each in self.history.log(limit=10_000)]


def layout_at(root: Path, exclude: tuple[str, ...] = ()) -> tuple[Layout, Settings]:
    layout = Layout(root)
    settings = Settings(workspace_id="w", exclude=exclude)
    layout.make(settings)
    History.create(layout.history).close()
    return layout, settings


@contextmanager
def open_place(
    layout: Layout,
    settings: Settings,
    *,
    limits: Limits | None = None,
    start: bool = True,
    pool: Callable[[Pool], Pool] = lambda pool: pool,
) -> Iterator[Place]:
    history = History.open(layout.history, writable=True)
    opened = Pool.open(layout.pool(settings))
    told: list[Iteration] = []
    recorder = Recorder(layout, settings, history, pool(opened), on_recorded=told.extend, limits=limits)
    try:
        if start:
            recorder.start()
        yield Place(layout, settings, history, opened, recorder, told)
    finally:
        recorder.stop()
        opened.close()
        history.close()
