"""Chronicle's supervisor as a child of the coordinator: started, started again when it dies, ended with it."""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chronicle.daemon.client import LOCK
from podium.base.tasks import TaskOwner
from podium.coordinator.domain.ports import WorkspacesUnavailableError

_log = logging.getLogger(__name__)

READY_SECONDS: Final = 20.0
"""Longest start on a busy host; usually 0.2 s."""

STOP_SECONDS: Final = 20.0
"""How long unmounting everything may take; then it is killed, and what is left is taken away by force."""

GOING_SECONDS: Final = 1.0
"""How long a daemon that said why it does not start may take to be gone."""

FOLLOW_SECONDS: Final = 5.0
"""How long the daemon of a coordinator that was killed may take to leave: it records and unmounts what it had."""

PAUSE_SECONDS: Final = 0.05
PAUSE_MAX_SECONDS: Final = 5.0
"""Wait before it is started again, doubled each time it does not come up, or not for long."""

STEADY_SECONDS: Final = 10.0
"""Who ran for so long had come up."""

_SCRIPT: Final = Path(__file__).with_name("chronicled.py")


class Supervision:
    """Keeps one supervisor running. `came_back` is called when a new one is there after another died."""

    def __init__(
        self, directory: Path, shared: Callable[[], str], came_back: Callable[[], None], *, spare: bool = False
    ) -> None:
        self._options = ["--log-format", "json", *(["--spare"] if spare else [])]
        self.directory = directory
        self._shared = shared
        self._came_back = came_back
        self._process: asyncio.subprocess.Process | None = None
        self._owner = TaskOwner("chronicle")
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts it and waits until it is ready.

        Raises:
            WorkspacesUnavailableError: it did not start; its reason.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + FOLLOW_SECONDS
        while self._is_taken() and loop.time() < end:
            await asyncio.sleep(0.05)
        await self._begin()
        self._owner.start(self._watch(), "watch Chronicle's daemon")

    def _is_taken(self) -> bool:
        """Whether the daemon of an earlier coordinator still holds the directory."""
        try:
            descriptor = os.open(self.directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    async def stop(self) -> None:
        """Unmounts everything and ends it; bounded. Idempotent."""
        self._stopping = True
        await self._owner.close()  # so that none is started any more
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            _log.error("chronicle_killed", extra={"pid": process.pid})
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _begin(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # From the main thread: the signal of the parent's death comes when the *thread* that started it ends (prctl(2)).
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(_SCRIPT), str(os.getpid()), self._shared()),
            *("--directory", str(self.directory), *self._options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        self._process = process
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_SECONDS):
                said = (await process.stdout.readline()).decode(errors="replace").strip()
        except TimeoutError:
            said = f"it was not ready within {READY_SECONDS:g} s"
        if not said.startswith("ready"):
            await _ended(process)
            raise WorkspacesUnavailableError(f"Chronicle's daemon does not start: {said or 'its log says why'}")

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pause = PAUSE_SECONDS
        while not self._stopping:
            assert self._process is not None
            begun = loop.time()
            code = await self._process.wait()
            if self._stopping:
                return
            _log.error("chronicle_died", extra={"exit_code": code})
            if loop.time() - begun >= STEADY_SECONDS:
                pause = PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_MAX_SECONDS)
            try:
                await self._begin()
            except (WorkspacesUnavailableError, OSError) as error:
                _log.error("chronicle_not_started", extra={"reason": str(error)})
                continue
            self._came_back()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Waits for a process that has failed, and ends one that goes on.

    Signalling a process that is gone already would reap it behind the back of the loop's own watcher.
    """
    try:
        async with asyncio.timeout(GOING_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
