"""Asking a supervisor to mount and unmount, and running one."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final, Literal

from chronicle.control.client import Client, NobodyThereError
from chronicle.control.messages import ListMounts, Mount, Mounted, Stop, Unmount, Unmounted
from chronicle.model.errors import ChronicleError, NotSupportedError, StorageError

SOCKET: Final = "chronicled.sock"
"""The supervisor's socket in its directory."""

LOCK: Final = "lock"
"""The file in its directory that a supervisor holds (flock) while it lives."""

MOUNT_SECONDS: Final = 30.0
"""A mount is ready within 50 ms; one whose journal has to be replayed takes longer, by what was in it."""

UNMOUNT_SECONDS: Final = 60.0
"""Longest unmount: all that is noted is recorded first, then users of the mount get some seconds to leave it."""

START_SECONDS: Final = 20.0
"""Longest start of a supervisor process on a busy host."""


class Daemon:
    """A running supervisor, by its directory. Thread-safe.

    Every call raises `NobodyThereError` (a ChronicleError) when none runs there.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._client = Client(self.directory / SOCKET)

    @property
    def running(self) -> bool:
        """Whether it answers."""
        try:
            return self._client.reachable()
        except OSError:
            return False

    def mount(  # noqa: PLR0913 - options by name, each with its default
        self,
        workspace: Path | str,
        mountpoint: Path | str,
        *,
        backend: Literal["auto", "fuse", "watch"] = "auto",
        passthrough: bool = True,
        io_uring: Literal["off", "auto", "on"] = "off",
        keep_awake: Literal["off", "auto", "on"] = "auto",
        allow_other: bool = False,
        timeout: float = MOUNT_SECONDS,
    ) -> Mounted:
        """Mounts a workspace (its own directory) at an empty directory and returns when it serves.

        Mounting what is mounted there already is no error: the same answer comes.

        Args:
            workspace: the workspace's own directory.
            mountpoint: an empty directory.
            backend: `auto` takes FUSE when the host can and says in `why_watch` why not; `fuse` refuses instead.
            passthrough: let the kernel read and write file data itself, when it can.
            io_uring: `auto`, `on`: talk to the kernel over io_uring where the host has it switched on.
            keep_awake: `auto`: during bursts of requests no processor sleeps, where the host allows it and has at most
                16; `on`: however many it has; `off`: they sleep, and small requests may take several times as long.
            allow_other: let other users in, by file permissions.
            timeout: seconds.

        Raises:
            WorkspaceNotFoundError: no workspace is there.
            WorkspaceBusyError: another process writes it, or it is mounted elsewhere.
            NotSupportedError: `fuse` was asked for and the host can't.
            InvalidInputError: the mount point is not an empty directory.
        """
        request = Mount(
            self._client.number(),
            os.path.abspath(workspace),
            os.path.abspath(mountpoint),
            backend,
            passthrough,
            io_uring,
            keep_awake,
            allow_other,
        )
        return self._client.call(request, Mounted, timeout)

    def unmount(self, place: Path | str, *, timeout: float = UNMOUNT_SECONDS) -> Unmounted:
        """Records everything, then unmounts; `place` is the mount point or the workspace's own directory.

        Raises:
            NotFoundError: nothing is mounted there.
        """
        return self._client.call(Unmount(self._client.number(), os.path.abspath(place)), Unmounted, timeout)

    def mounts(self) -> list[Mounted]:
        """All mounts."""
        return self._client.call(ListMounts(self._client.number()), list[Mounted])

    def stop(self, *, timeout: float = UNMOUNT_SECONDS) -> None:
        """Unmounts everything and ends the supervisor. It is gone, or about to be, when this returns."""
        self._client.call(Stop(self._client.number()), type(None), timeout)

    def close(self) -> None:
        """Gives connections back; the supervisor runs on."""
        self._client.close()


class DaemonProcess:
    """A supervisor as a child process: `python -m chronicle.daemon --directory D`.

    It ends, with its mounts, at the latest when `stop` is called or it gets SIGTERM. If this process just dies, it runs on.
    """

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        """Use `start`."""
        self._process = process
        self.daemon = Daemon(directory)

    @classmethod
    def start(
        cls,
        directory: Path | str,
        *,
        log: IO[bytes] | int | None = None,
        log_format: Literal["text", "json"] = "text",
        detached: bool = False,
        until_idle: bool = False,
        spare: bool = False,
        timeout: float = START_SECONDS,
    ) -> "DaemonProcess":
        """Starts a supervisor and waits until it is ready.

        Args:
            directory: its own directory: socket, lock, notes of mounts. Made, 0700.
            log: where its log goes (stderr); None: where this process's goes.
            log_format: how it logs.
            detached: in a session of its own, so that it outlives a terminal.
            until_idle: it ends by itself when its last mount is unmounted.
            spare: it keeps a process of some 8 MiB ready for the next mount, for five minutes after each: that one is there sooner.
            timeout: seconds to be ready in.

        Raises:
            ChronicleError: it ended at once (its log says why), or was not ready in time.
        """
        command = [sys.executable, "-m", "chronicle.daemon", "--directory", str(directory), "--log-format", log_format]
        process = subprocess.Popen(
            [*command, *(["--until-idle"] if until_idle else []), *(["--spare"] if spare else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=detached,
        )
        made = cls(process, Path(directory))
        try:
            made._wait_until_ready(timeout)
        except BaseException:
            made.stop()
            raise
        return made

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def _wait_until_ready(self, timeout: float) -> None:
        assert self._process.stdout is not None
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(timeout * 1000):
            raise StorageError(f"the Chronicle daemon was not ready within {timeout} s")
        said = self._process.stdout.readline().decode(errors="replace").strip()
        if not said.startswith("ready"):
            raise NotSupportedError(f"the Chronicle daemon did not start: {said or 'its log says why'}")

    def release(self) -> None:
        """Lets the process live on its own; this object is of no use any more."""
        self.daemon.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.returncode = 0  # not waited for: it is nobody's child once we end

    def stop(self, timeout: float = UNMOUNT_SECONDS) -> None:
        """Unmounts everything and ends the process: politely, then, after `timeout` seconds, by force. Idempotent."""
        self.daemon.close()
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def user_directory(environment: dict[str, str] | None = None) -> Path:
    """Where a user's own supervisor has its directory: `$XDG_RUNTIME_DIR/chronicle`, else `/tmp/chronicle-UID`.

    Raises:
        NotSupportedError: somebody else made that directory.
    """
    given = (os.environ if environment is None else environment).get("XDG_RUNTIME_DIR")
    directory = Path(given) / "chronicle" if given else Path(f"/tmp/chronicle-{os.getuid()}")
    own_directory(directory)
    return directory


def own_directory(directory: Path) -> None:
    """Makes a directory that only this user may enter, or checks that it is one.

    Raises:
        NotSupportedError: it is another user's, or others may write there.
    """
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700, parents=True)
    there = directory.lstat()
    if there.st_uid != os.geteuid() or there.st_mode & 0o170022 != 0o040000:
        raise NotSupportedError(
            f"{directory} is not a directory that only this user may write; remove it, or set XDG_RUNTIME_DIR"
        )
    if there.st_mode & 0o077:
        directory.chmod(0o700)


def ensure_running(directory: Path, *, log: Path) -> Daemon:
    """The supervisor of `directory`, started in the background, to end when idle, if none runs."""
    daemon = Daemon(directory)
    if daemon.running:
        return daemon
    with log.open("ab") as sink:
        try:
            started = DaemonProcess.start(directory, log=sink.fileno(), detached=True, until_idle=True)
        except ChronicleError:
            if _answers(daemon, 2.0):  # another command started one at the same moment
                return daemon
            raise
    started.release()
    return daemon


def _answers(daemon: Daemon, timeout: float) -> bool:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if daemon.running:
            return True
        time.sleep(0.02)
    return False


__all__ = ["Daemon", "DaemonProcess", "NobodyThereError", "ensure_running", "own_directory", "user_directory"]
