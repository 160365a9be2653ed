"""The coordinator's end of one template: started, warmed, given fork orders, heard until it is gone."""

import asyncio
import json
import logging
import os
import signal
import socket
import struct
import subprocess
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from podium.agent.process.orders import PACKET_MAX_BYTES, Launch, pack
from podium.coordinator.domain.ports import ExitStatus, ProcessStartError

_log = logging.getLogger(__name__)

OUTPUT_KEPT_BYTES: Final = 64 * 1024
"""What a template printed last, kept for whoever asks why it could not load."""

_CREDENTIALS = struct.Struct("iII")
_CREDENTIALS_SPACE: Final = socket.CMSG_SPACE(_CREDENTIALS.size)


class Unforkable(Exception):
    """The entry can't be preloaded and forked; processes must be started plainly."""


class Sitter:
    """Who hears of one forked process: that it could not be forked, or how it ended."""

    def fork_failed(self, reason: str) -> None:
        """There is no process."""

    def ended(self, status: ExitStatus) -> None:
        """The first process is gone; descendants of it may still be there."""


class TemplateProcess:
    """A running launcher with its template."""

    def __init__(self, python: Sequence[str], launch: Launch, environment: dict[str, str], name: str) -> None:
        self.name = name
        self.pid: int | None = None
        self.launcher_pid = 0
        self.first_pids: set[int] = set()
        self._warm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sitters: dict[int, Sitter] = {}
        self._unsent: deque[tuple[int, tuple[int, ...]]] = deque()
        self._output = bytearray()
        self._number = 0
        self._start(python, launch, environment)

    def _start(self, python: Sequence[str], launch: Launch, environment: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with theirs:
            self._popen = subprocess.Popen(
                [*python, "serve", str(theirs.fileno()), self.name],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
        self.launcher_pid = self._popen.pid
        assert self._popen.stdout is not None
        self._printed = self._popen.stdout.fileno()
        os.set_blocking(self._printed, False)
        self._exit = os.pidfd_open(self.launcher_pid)
        self._control.send(pack(launch._asdict()))
        loop.add_reader(self._control, self._reports)
        loop.add_reader(self._printed, self._read_output)
        loop.add_reader(self._exit, self._exited)

    @property
    def is_gone(self) -> bool:
        """Whether the launcher has ended, and everything below it with it."""
        return self._gone.done()

    @property
    def output(self) -> bytes:
        """What it printed last."""
        return bytes(self._output)

    async def warm(self) -> None:
        """Returns when it can fork. The caller bounds the wait.

        Raises:
            ProcessStartError: it could not load the entry, or ended.
            Unforkable: the entry can't be preloaded.
        """
        await asyncio.shield(self._warm)

    def fork(self, descriptors: tuple[int, int, int, int], sitter: Sitter) -> int:
        """Orders a process with these descriptors (setup, stdout, stderr, gate), which stay the caller's to close.

        Raises:
            ProcessStartError: the template is gone.
        """
        if self.is_gone or self._control.fileno() < 0:
            raise ProcessStartError("the template of the deployment has ended")
        self._number += 1
        self._sitters[self._number] = sitter
        self._unsent.append((self._number, tuple(map(os.dup, descriptors))))
        self._send()
        return self._number

    async def close(self, seconds: float) -> None:
        """Ends it, and with it everything it forked; waits until that is gone, then uses SIGKILL."""
        if not self.is_gone:
            self._shut_control()
            await asyncio.wait({self._gone}, timeout=seconds)
        if not self.is_gone:
            self._popen.kill()
            await asyncio.wait({self._gone}, timeout=seconds)
        if not self.is_gone:
            _log.error("template_stuck", extra={"deployment_id": self.name, "pid": self.launcher_pid})

    # ── control ─────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self) -> None:
        while self._unsent:
            number, descriptors = self._unsent[0]
            try:
                socket.send_fds(self._control, [str(number).encode()], descriptors)
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._control, self._send)
                return
            except OSError as error:
                sitter = self._sitters.pop(number, None)
                if sitter is not None:
                    sitter.fork_failed(f"the template can't be reached: {error.strerror}")
            self._unsent.popleft()
            _close_all(descriptors)
        asyncio.get_running_loop().remove_writer(self._control)

    def _reports(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._control.recvmsg(PACKET_MAX_BYTES, _CREDENTIALS_SPACE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._shut_control()
                return
            if self.pid is None:
                self.pid = sender_pid(ancillary)
            try:
                self._hear(json.loads(data))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
                # author's code ran in there and holds this socket; all who wait hear of the end
                _log.warning("template_talks_nonsense", extra={"deployment_id": self.name})
                self._shut_control()
                self._popen.kill()
                return

    def _hear(self, report: dict[str, Any]) -> None:
        if not isinstance(report, dict):
            raise TypeError("a report is an object")
        if "warm" in report:
            self._settle(None)
        elif "refused" in report:
            reason = str(report["refused"])
            self._settle(Unforkable(reason) if report.get("unforkable") else ProcessStartError(reason))
        elif "failed" in report:
            sitter = self._sitters.pop(int(report["failed"]), None)
            if sitter is not None:
                sitter.fork_failed(str(report["reason"]))
        elif "ended" in report:
            number, status = int(report["ended"]), exit_status(int(report["status"]))
            sitter = self._sitters.pop(number, None)
            if sitter is not None:
                sitter.ended(status)

    def _settle(self, error: Exception | None) -> None:
        if self._warm.done():
            return
        if error is None:
            self._warm.set_result(None)
        else:
            self._warm.set_exception(error)
            self._warm.exception()

    def _shut_control(self) -> None:
        if self._control.fileno() < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        loop.remove_writer(self._control)
        self._control.close()
        while self._unsent:
            _close_all(self._unsent.popleft()[1])

    # ── its end ─────────────────────────────────────────────────────────────────────────────────────────────

    def _read_output(self) -> None:
        try:
            data = os.read(self._printed, 64 * 1024)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._printed)
            return
        self._output += data
        del self._output[:-OUTPUT_KEPT_BYTES]

    def _exited(self) -> None:
        loop = asyncio.get_running_loop()
        if self._control.fileno() >= 0:
            self._reports()
        self._read_output()
        loop.remove_reader(self._exit)
        loop.remove_reader(self._printed)
        code = self._popen.wait()
        self._shut_control()
        os.close(self._exit)
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        self._settle(ProcessStartError(f"the template of the deployment ended (exit code {code})"))
        self._gone.set_result(None)
        sitters, self._sitters = self._sitters, {}
        for sitter in sitters.values():
            sitter.ended(ExitStatus(None, "SIGKILL"))


def exit_status(status: int) -> ExitStatus:
    """What a wait status says."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return ExitStatus(code, None)
    try:
        return ExitStatus(None, signal.Signals(-code).name)
    except ValueError:
        return ExitStatus(None, f"SIG{-code}")


def sender_pid(ancillary: Sequence[tuple[int, int, bytes]]) -> int | None:
    """The pid of a packet's sender, as this process sees it."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid, _, _ = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])
            return int(pid)
    return None


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
