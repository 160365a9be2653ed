"""A process that serves a mount and writes down what the recorder would be told, as JSON lines. `python serving.py ROOT MOUNT [OPTIONS]`."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chronicle.layout import Layout, Settings
from chronicle.model.changes import Change
from chronicle.mount import MountOptions, Session, TakeoverMemory, open_device, unmount
from chronicle.recording import Token
from tests.system.chronicle.mount.twins import Hollow, Tree
from tests.waiting import until

Event = dict[str, Any]


class ListeningTwin:
    """Takes what the mount tells as the recorder would, and writes it to a file instead. Content counts as unrecorded for ever."""

    def __init__(self, log: Path) -> None:
        self._fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._tokens: dict[int, bytes] = {}
        self.held: list[Callable[[int], None]] = []

    def _say(self, **event: Any) -> None:
        os.write(self._fd, json.dumps(event).encode() + b"\n")

    def wrote(self, path: bytes, fd: int, mode: int, seen: os.stat_result | None = None) -> Token:
        token = Token(None, 0)
        token.done = False
        token.size = os.fstat(fd).st_size
        self._tokens[id(token)] = path
        self._say(
            do="wrote", path=path.decode("latin-1"), content=os.pread(fd, 64, 0).decode("latin-1"), size=token.size
        )
        os.close(fd)
        return token

    def settle(self, token: Token) -> bool:
        self._say(do="settle", path=self._tokens[id(token)].decode("latin-1"))
        if "refused" in self._tokens[id(token)].decode("latin-1"):
            return False
        token.done = True
        return True

    def keep(self, token: Token, path_in_tree: bytes) -> None:
        self._say(do="keep", path=path_in_tree.decode("latin-1"))

    def changed(self, change: Change) -> None:
        source = change.source.decode("latin-1") if change.source is not None else None
        self._say(do=change.kind, path=change.path.decode("latin-1"), source=source, mode=change.mode)

    def due(self, inode: int) -> bool:
        return True

    def when_recorded(self, done: Callable[[int], None]) -> None:
        self._say(do="when_recorded")
        threading.Timer(0.01, done, (0,)).start()


class Serving:
    """A mount served by a process of its own, and what it noted."""

    def __init__(self, root: Path, mountpoint: Path, options: dict[str, Any]) -> None:
        self.mountpoint = mountpoint
        self.layout = Layout(root)
        self.log = root / "events"
        self.may_complain = False
        arguments = [sys.executable, "-m", "tests.system.chronicle.mount.serving", str(root), str(mountpoint)]
        self.process = subprocess.Popen([*arguments, json.dumps(options)], stderr=subprocess.PIPE)
        until(lambda: os.path.ismount(mountpoint) or self.process.poll() is not None, what="mounted")
        assert self.process.poll() is None, self.process.communicate()[1].decode()

    def events(self) -> list[Event]:
        """All that was noted so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def told(self, **wanted: Any) -> list[Event]:
        """Events with these facts."""
        return [event for event in self.events() if wanted.items() <= event.items()]

    def stop(self) -> str:
        """Unmounts, waits for the end; what the process complained of."""
        with contextlib.suppress(Exception):
            unmount(self.mountpoint)
        try:
            _, errors = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            unmount(self.mountpoint, lazy=True)
            os.kill(self.process.pid, signal.SIGKILL)
            _, errors = self.process.communicate()
        finally:
            unmount(self.mountpoint, lazy=True)
        return errors.decode()


@contextlib.contextmanager
def served(place: Path, **options: Any) -> Iterator[Serving]:
    """A mount below `place`, until the block ends; the process may complain of nothing."""
    root, mountpoint = place / "workspace", place / "mount"
    mountpoint.mkdir(parents=True, exist_ok=True)
    if not (root / "tree").exists():
        Layout(root).make(Settings("w"))
    serving = Serving(root, mountpoint, options)
    try:
        yield serving
    finally:
        errors = serving.stop()
    if not serving.may_complain:
        assert errors == "", errors
    assert serving.process.returncode == 0


def main(root: str, mountpoint: str, options: str) -> None:
    logging.basicConfig(level=logging.WARNING)
    layout = Layout(Path(root))
    values = json.loads(options)
    virtual = Tree() if values.pop("virtual", False) else None
    hollow = Hollow(layout.tree) if values.pop("hollow", False) else None
    become = values.pop("become", None)
    successors = values.pop("successors", 0)
    chosen = MountOptions(mountpoint=Path(mountpoint), **values)
    twin = ListeningTwin(layout.root / "events")
    device = open_device(chosen)
    if become is not None:
        os.setgid(become)
        os.setuid(become)

    def serve(memory: TakeoverMemory | None) -> None:
        settings = layout.read_settings()
        Session(layout, settings, twin, hollow, chosen, device=device, virtual=virtual, memory=memory).run()

    if successors:
        _serve_in_turn(layout, successors, serve)
    else:
        serve(None)


def _serve_in_turn(layout: Layout, successors: int, serve: Callable[[TakeoverMemory | None], None]) -> None:
    """Serves in children: when one is killed, the next one takes over. `child` has the number of the one that serves."""
    memory = TakeoverMemory.new()
    for _ in range(successors + 1):
        pid = os.fork()
        if not pid:
            serve(memory.successor())
            os._exit(0)
        beside = layout.root / "child.new"
        beside.write_text(str(pid))
        beside.rename(layout.root / "child")
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            break
    memory.close_descriptor()


if __name__ == "__main__":
    main(*sys.argv[1:])
