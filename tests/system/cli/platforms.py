"""`podium` as a user runs it: `up` in the background, other commands in the same directory."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.noise import leaks
from tests.waiting import wait_until

READY_SECONDS = 60.0
STOP_SECONDS = 45.0
COMMAND_SECONDS = 60.0


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without what would lead commands elsewhere; ports are chosen freely. Without Diminuendo, which
    most tests have no use for, unless `DIMINUENDO_ENABLE` is given."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PODIUM_")}
    return {
        **given,
        "GATEWAY_PORT": "0",
        "COORDINATOR_PORT": "0",
        "DIMINUENDO_PORT": "0",
        "DIMINUENDO_ENABLE": "false",
        "NO_COLOR": "1",
        **extra,
    }


def command(*arguments: str) -> list[str]:
    """The command line of `podium …`."""
    return [sys.executable, "-m", "podium.cli", *arguments]


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until `condition` holds.

    Raises:
        TimeoutError: it does not in time.
    """
    asyncio.run(wait_until(condition, seconds))


class Up:
    """A `podium up` in a directory of its own."""

    def __init__(self, folder: Path, **extra: str) -> None:
        self.folder = folder
        self.data = folder / ".podium"
        leaks.served_places.add(str(self.data.resolve()))
        with (folder / "up.out").open("wb") as out, (folder / "up.err").open("wb") as err:
            self.process = subprocess.Popen(
                command("up", "--json"),
                cwd=folder,
                env=environment(**extra),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def ready(self) -> dict[str, Any]:
        """Waits until it has printed its addresses, and returns them."""
        eventually(lambda: self.out().endswith("\n") or self.process.poll() is not None, READY_SECONDS)
        assert self.process.poll() is None, self.err()
        addresses: dict[str, Any] = json.loads(self.out())
        return addresses

    def out(self) -> str:
        """What it printed."""
        return (self.folder / "up.out").read_text()

    def err(self) -> str:
        """What it said on stderr."""
        return (self.folder / "up.err").read_text()

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Another command in the same directory; returns what it printed."""
        answer = self.try_run(*arguments, stdin=stdin)
        assert answer.returncode == code, f"{arguments}: {answer.returncode}\n{answer.stdout}\n{answer.stderr}"
        return answer.stdout

    def try_run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Another command, however it ends."""
        return subprocess.run(
            command(*arguments),
            cwd=self.folder,
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """What another command prints with `--json`."""
        return json.loads(self.run(*arguments, "--json"))

    def daemons(self) -> dict[str, int]:
        """Process ids of the daemons."""
        found = {}
        for pid in children(self.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            for name in ("gateway", "coordinator", "diminuendo"):
                if {f"podium.{name}".encode(), name.encode()} & set(words[1:4]):
                    found[name] = pid
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stops it and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(STOP_SECONDS)
        leaks.served_places.discard(str(self.data.resolve()))
        return code


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    return [int(text) for task in Path(f"/proc/{pid}/task").glob("*/children") for text in task.read_text().split()]


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    return [below for child in children(pid) for below in (child, *descendants(child))]


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def reap(pids: list[int]) -> None:
    """Takes leave of orphans that became children of this process (which adopts them, to see what is left over)."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


@contextmanager
def running(folder: Path, **extra: str) -> Iterator[Up]:
    """A platform that is ready, stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    up = Up(folder, **extra)
    try:
        up.ready()
        yield up
    finally:
        up.stop()
