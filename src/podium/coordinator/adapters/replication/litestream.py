"""One Litestream process: started, watched, started again, and told over its control socket what to replicate.

Litestream 0.5 forgets its registrations when it ends, and its control socket answers in JSON over HTTP: `/register`, `/unregister`,
`/sync`, `/list` (https://litestream.io). The names of the members are its own.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import shutil
import signal
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from podium.base.tasks import TaskOwner

_log = logging.getLogger(__name__)

READY_SECONDS: Final = 10.0
"""How long a started process may take until its socket answers."""

CALL_SECONDS: Final = 10.0
"""How long an answer may take that waits for nothing."""

FIRST_PAUSE_SECONDS: Final = 0.2
LAST_PAUSE_SECONDS: Final = 5.0
"""Pauses before an ended process is started again: from the first, doubled, up to the last."""

STOP_SECONDS: Final = 10.0
"""How long it may take to end; then it is killed."""

SOCKET: Final = "control.sock"
"""The control socket's name in the directory of its process."""

_POLL_SECONDS: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)

_NOT_PASSED: Final = frozenset({"AWS_CA_BUNDLE"})
"""Litestream refuses to start where this is set beside an endpoint of one's own; it finds the host's certificates itself."""


_HARMLESS: Final = "no databases specified in configuration"
"""What it says of settings without databases: ours are registered later."""


class ReplicaUnavailableError(Exception):
    """The replica can't be written or read now; what is to be replicated waits on this host."""


def litestream_path(environment: Mapping[str, str] | None = None) -> str | None:
    """The program: `LITESTREAM`, else the one beside this Python, else the one on `PATH`; None: there is none."""
    named = (environment or os.environ).get("LITESTREAM")
    if named:
        return named if os.access(named, os.X_OK) else None
    return shutil.which("litestream", path=sysconfig.get_path("scripts")) or shutil.which("litestream")


class Litestream:
    """A process that replicates databases. `directory` is its own: socket and settings lie there."""

    def __init__(self, program: str, directory: Path, *, lost: Callable[[], None] = lambda: None) -> None:
        """`lost` is called whenever the process ended by itself."""
        self._program = program
        self._directory = directory
        self._lost = lost
        self._place = -1
        self._registered: dict[Path, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._tasks = TaskOwner("litestream")
        self._ready = asyncio.Event()
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts the process; from now on it is there, or being started again.

        Raises:
            ReplicaUnavailableError: it doesn't start; the text has its last words.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = self._directory / "litestream.yml"
        settings.write_text(
            f"logging:\n  level: warn\nsocket:\n  enabled: true\n  path: {SOCKET}\n  permissions: 0600\ndbs: []\n"
        )
        # A Unix socket's path has 107 bytes at most (unix(7)), and a data directory may lie deeper: both sides name it from where they are.
        self._place = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        connector = aiohttp.UnixConnector(f"/proc/self/fd/{self._place}/{SOCKET}")
        self._session = aiohttp.ClientSession(connector=connector)
        try:
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        self._tasks.start(self._keep(), "keep it running")

    async def stop(self) -> None:
        """Ends the process, after it has written what it is writing. Idempotent."""
        self._stopping = True
        await self._tasks.close()
        await self._end()
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._place >= 0:
            os.close(self._place)
            self._place = -1

    async def register(self, database: Path, address: str) -> None:
        """Replicates a database to an address from now on, also after a restart of the process. Again is fine.

        Raises:
            ReplicaUnavailableError: nobody answers.
        """
        self._registered[database] = address
        await self._call("register", {"path": str(database.absolute()), "replica_url": address})

    async def unregister(self, database: Path) -> None:
        """Ends the replication of a database, after what was committed is in the replica if that can be reached. Again is fine.

        Raises:
            ReplicaUnavailableError: nobody answers; it is replicated no more as soon as somebody does.
        """
        if self._registered.pop(database, None) is not None:
            await self._call("unregister", {"path": str(database.absolute())})

    async def sync(self, database: Path, seconds: float) -> None:
        """Returns when everything committed before is in the replica.

        Raises:
            ReplicaUnavailableError: not within `seconds`, or nobody answers.
        """
        wanted = {"path": str(database.absolute()), "wait": True, "timeout": max(1, round(seconds))}
        await self._call("sync", wanted, seconds + 1)

    async def _call(self, what: str, body: dict[str, Any], seconds: float = CALL_SECONDS) -> None:
        session = self._session
        if session is None or self._stopping:
            raise ReplicaUnavailableError("Litestream is stopped")
        try:
            async with asyncio.timeout(seconds):
                await self._ready.wait()
                await _post(session, what, body)
        except TimeoutError:
            raise ReplicaUnavailableError(f"Litestream did not answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ReplicaUnavailableError(f"Litestream can't be asked: {error}") from error

    # ── the process ─────────────────────────────────────────────────────────────────────────────────────────

    async def _launch(self) -> None:
        parent = os.getpid()

        def end_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        with contextlib.suppress(FileNotFoundError):
            (self._directory / SOCKET).unlink()
        command = (self._program, "replicate", "-config", str(self._directory.absolute() / "litestream.yml"))
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={name: value for name, value in os.environ.items() if name not in _NOT_PASSED},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self._directory,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            raise ReplicaUnavailableError(f"{self._program}: {error.strerror or error}") from error
        self._process = process
        said: list[str] = []
        self._tasks.start(_listen(process, said), "listen")
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self._answers():
                    if process.returncode is not None:
                        raise ReplicaUnavailableError(f"Litestream ended with {process.returncode}: {' '.join(said)}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            await self._end()
            raise ReplicaUnavailableError(f"Litestream did not start within {READY_SECONDS:g} s") from None
        assert self._session is not None
        for database, address in list(self._registered.items()):
            await _post(self._session, "register", {"path": str(database.absolute()), "replica_url": address})
        self._ready.set()

    async def _answers(self) -> bool:
        assert self._session is not None
        try:
            async with self._session.get("http://litestream/info") as response:
                return response.status < 400
        except (aiohttp.ClientError, OSError):
            return False

    async def _keep(self) -> None:
        """Starts the process again whenever it ends, and tells the new one what the old one knew."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self._ready.clear()
            _log.error("litestream_ended", extra={"code": code})
            self._lost()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)
            try:
                await self._launch()
            except (ReplicaUnavailableError, aiohttp.ClientError, OSError) as error:
                _log.error("litestream_not_restarted", extra={"reason": str(error)})
                continue
            pause = FIRST_PAUSE_SECONDS

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _post(session: aiohttp.ClientSession, what: str, body: dict[str, Any]) -> None:
    async with session.post(f"http://litestream/{what}", json=body) as response:
        answer = await response.json(content_type=None)
        if response.status >= 400:
            raise ReplicaUnavailableError(f"Litestream: {_reason(answer)}")


def _reason(answer: object) -> str:
    return str(answer.get("error", answer)) if isinstance(answer, dict) else str(answer)


async def _listen(process: asyncio.subprocess.Process, said: list[str]) -> None:
    """Its words go to our log; `said` keeps the last few."""
    assert process.stdout is not None
    async for line in process.stdout:
        text = line.decode(errors="replace").strip()
        if _HARMLESS in text:
            continue
        said[:] = [*said[-4:], text]
        _log.log(logging.WARNING if "level=ERROR" in text else logging.INFO, "litestream", extra={"line": text[:500]})


async def restore_database(program: str, address: str, target: Path, seconds: float) -> None:
    """Makes the file `target`, which is not there, from a replica.

    Raises:
        ReplicaUnavailableError: it can't be read, is not there, or takes longer than `seconds`.
    """
    process = await asyncio.create_subprocess_exec(
        program, "restore", "-o", str(target), address,
        env={name: value for name, value in os.environ.items() if name not in _NOT_PASSED},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ReplicaUnavailableError(f"restoring {target.name} took more than {seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        text = output.decode(errors="replace").strip().splitlines()
        raise ReplicaUnavailableError(f"restoring {target.name}: {text[-1] if text else process.returncode}")
