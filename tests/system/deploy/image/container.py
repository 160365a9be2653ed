"""A part of the platform that runs as a container does, and how a test talks to it."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from tests.system.daemons import Daemons, descendants, reap_adopted

STOP_SECONDS: Final = 60.0
READY_ATTEMPTS: Final = 4


class Image(Protocol):
    """Something containers are made of."""

    def command(self, role: list[str], environment: dict[str, str], *, privileged: bool) -> list[str]:
        """The command line, in this host's words, of a container that runs `role` as the image's entry point does."""
        ...


@dataclass
class Containers:
    """Containers that were started, by a name; `close` ends them."""

    image: Image
    directory: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, role: list[str], environment: dict[str, str], *, privileged: bool = False) -> None:
        """Starts one; what it writes goes to `{name}.log`."""
        self.start_command(name, self.image.command(role, environment, privileged=privileged))

    def start_command(self, name: str, command: list[str]) -> None:
        """Starts one by a command line of its own."""
        with (self.directory / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def pid(self, name: str) -> int:
        """The process that was started."""
        return self._running[name].pid

    def said(self, name: str) -> str:
        """What one has written so far."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def check(self) -> None:
        """All of them run.

        Raises:
            AssertionError: one has ended; with what it wrote last.
        """
        for name, process in self._running.items():
            assert process.poll() is None, f"{name} ended with {process.returncode}:\n{self.said(name)[-4000:]}"

    def wait(self, name: str) -> int:
        """Waits for the end of one that ends by itself; the exit code."""
        return self._running.pop(name).wait(STOP_SECONDS)

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        process = self._running.pop(name)
        below = descendants(process.pid)
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(STOP_SECONDS)
        finally:
            reap_adopted(below)

    def close(self) -> None:
        """Ends what still runs."""
        for name in list(self._running):
            self.stop(name)


async def ready(containers: Containers, gateway: Daemons) -> None:
    """Waits until agents can be run; what was just built compiles itself when it starts, so it is given several times as long.

    Raises:
        AssertionError: that does not happen, or a container ended.
    """
    for attempts_left in reversed(range(READY_ATTEMPTS)):
        try:
            await gateway.ready()
            break
        except AssertionError:
            containers.check()
            if attempts_left == 0:
                raise
    containers.check()
