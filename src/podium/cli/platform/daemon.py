"""One daemon as a child process that can't outlive its parent."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1

TAIL_BYTES: Final = 4096
"""How much of a daemon's log is shown when it fails."""

_libc = ctypes.CDLL(None, use_errno=True)


class Daemon:
    """A started `python -m …`, leader of its own process group. `module`: what is run, with its arguments."""

    def __init__(self, name: str, module: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        parent = os.getpid()

        def die_with_parent() -> None:
            # Runs between fork and exec. The kernel kills this process when `podium up` is gone, however it went.
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        with log.open("ab") as output:
            self.log_start = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                preexec_fn=die_with_parent,
            )
        self._pidfd = os.pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Waits until it has ended, ends what is left of its group, and reaps it.

        Returns the exit code, or minus the signal that ended it.
        """
        if self._pidfd >= 0:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(self._pidfd, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self._pidfd)
            # Not reaped yet, so the group still has its number.
            self.kill()
            self._process.wait()
            os.close(self._pidfd)
            self._pidfd = -1
        return self._process.returncode

    async def stop(self, seconds: float) -> None:
        """SIGTERM, then SIGKILL to its whole group after `seconds`; returns when it is reaped."""
        if self._pidfd >= 0:
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait()
        self.kill()
        await self.wait()

    def kill(self) -> None:
        """SIGKILL to its whole group; nothing when it has been reaped."""
        if self._pidfd >= 0:
            os.killpg(self._process.pid, signal.SIGKILL)

    def tail(self) -> list[str]:
        """The last lines it wrote since it was started."""
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_start, end - TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-20:]
        return []
