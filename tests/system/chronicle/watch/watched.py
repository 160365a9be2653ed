"""A watched workspace, and a way to keep its thread from reading."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chronicle.watch import WatchBackend
from tests.unit.chronicle.recording.place import Place, layout_at, open_place


@dataclass
class Watched:
    tree: Path
    place: Place
    backend: WatchBackend

    def contents(self) -> dict[bytes, object]:
        """What the history says the tree holds: contents of files, targets of links, None for directories."""
        found: dict[bytes, object] = {}
        for entry in self.place.history.walk():
            version = entry.version
            found[entry.path] = self.place.pool.read(version.digest) if version.digest else version.target
        return found

    def really(self) -> dict[bytes, object]:
        """What it does hold."""
        found: dict[bytes, object] = {}
        for path in self.tree.rglob("*"):
            name = os.fsencode(path.relative_to(self.tree))
            if path.is_symlink():
                found[name] = os.fsencode(os.readlink(path))
            else:
                found[name] = path.read_bytes() if path.is_file() else None
        return found


@contextmanager
def held_up(place: Place) -> Iterator[None]:
    """Keeps the watching thread from reading: it waits where it asks whether a path is excluded."""
    asked, may_go = threading.Event(), threading.Event()
    excluded = place.recorder.excluded

    class Slow(type(excluded)):  # type: ignore[misc]
        def __call__(self, path: bytes, is_directory: bool = False) -> bool:
            asked.set()
            may_go.wait(30)
            return excluded(path, is_directory)

    place.recorder.excluded = Slow(())
    (place.layout.tree / "nudge").touch()
    assert asked.wait(10)
    try:
        yield
    finally:
        may_go.set()


@contextmanager
def watching(root: Path) -> Iterator[Watched]:
    layout, settings = layout_at(root, exclude=("*.tmp", "node_modules/"))
    with open_place(layout, settings) as place:
        backend = WatchBackend(layout, settings, place.recorder, layout.tree)
        backend.start()
        backend.barrier(10)
        try:
            yield Watched(layout.tree, place, backend)
        finally:
            backend.stop()
