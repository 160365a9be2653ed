"""From an order to a linked process: the hello, the identity, the setup, the gate, the connection. Every step bounded by the caller."""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from podium.agent.process.orders import Setup, pack
from podium.coordinator.adapters.processes.cgroups import Cgroup
from podium.coordinator.adapters.processes.directories import RUN_NAME, SOCKET_NAME
from podium.coordinator.adapters.processes.template import Sitter, TemplateProcess, sender_pid
from podium.coordinator.adapters.processes.tree import children_of, descendants
from podium.coordinator.domain.ports import ExitStatus, ProcessStartError

_CREDENTIALS = struct.Struct("iII")
_CREDENTIALS_SPACE: Final = socket.CMSG_SPACE(_CREDENTIALS.size)
_FAILURE_MAX_BYTES: Final = 16 * 1024
_OUTPUT_CHUNK_BYTES: Final = 64 * 1024

Hear = Callable[[Literal["stdout", "stderr"], bytes], None]
"""Told of what a process prints, at most 64 KiB at once."""


class Born(NamedTuple):
    """A process that is closed in and linked: its pid here, the link, and the ends of its output to read."""

    pid: int
    link: socket.socket
    stdout: int
    stderr: int


class _Ends(NamedTuple):
    """What is held of a process that is not linked yet: where it will connect, and the other ends of what it was given."""

    listener: socket.socket
    setup: socket.socket
    stdout: int
    stderr: int
    gate: int


class Birth(Sitter):
    """One start: `begin`, and when its workspace is there `link`, within a `with`. Sits with the process until it is linked; then
    `heir` hears of its end.

    What it prints until then goes to `hear`: a program may load for long, or fail, before it links.
    """

    def __init__(
        self, template: TemplateProcess, agent_directory: Path, uid: int | None, cgroup: Cgroup | None, hear: Hear
    ) -> None:
        self.heir: Sitter | None = None
        self.status: ExitStatus | None = None
        self.pid: int | None = None
        self._template = template
        self._run = agent_directory / RUN_NAME
        self._uid = uid
        self._cgroup = cgroup
        self._hear = hear
        self._waiting: asyncio.Future[None] | None = None
        self._failure: ProcessStartError | None = None
        self._held = contextlib.ExitStack()
        self._ends: _Ends

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever went wrong, nothing stays open here; the caller ends the process."""
        self._held.close()

    async def begin(self, setup: Setup, *, mapped: bool) -> None:
        """Forks, and has the process close itself in. It does nothing of the author's yet, and waits at its gate.

        Raises:
            ProcessStartError: it ended or refused.
        """
        listener = self._listen()
        self._ends = ends = self._fork(listener)
        self.pid = await self._hello(ends.setup)
        if self._cgroup is not None:  # may wait in the kernel for milliseconds
            await asyncio.to_thread(self._cgroup.add, self.pid)
        if mapped and self._uid is not None:
            self._map_ids(self.pid, self._uid)
        body = pack(setup._asdict())
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):  # what it says, or its end, tells why
            await loop.sock_sendall(ends.setup, len(body).to_bytes(4, "little") + body)

    async def link(self) -> Born:
        """Opens the gate, and links: the workspace is there.

        Raises:
            ProcessStartError: it ended or refused before it was linked.
        """
        ends = self._ends
        assert self.pid is not None
        with contextlib.suppress(BrokenPipeError):  # its end tells why
            os.write(ends.gate, b"1")
        await self._closed_in(ends.setup)
        link = await self._accept(ends.listener)
        return Born(self.pid, link, os.dup(ends.stdout), os.dup(ends.stderr))

    # ── what the template tells ─────────────────────────────────────────────────────────────────────────────

    def fork_failed(self, reason: str) -> None:
        """There is no process."""
        self.status = ExitStatus(None, None)
        self._fail(ProcessStartError(reason))

    def ended(self, status: ExitStatus) -> None:
        """The process is gone."""
        self.status = status
        if self.heir is not None:
            self.heir.ended(status)
        told = status.signal or f"exit code {status.code}"
        self._fail(ProcessStartError(f"the process ended before it was linked ({told})"))

    def _fail(self, error: ProcessStartError) -> None:
        self._failure = error
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────

    def _listen(self) -> socket.socket:
        listener = self._held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.setblocking(False)
        directory = os.open(self._run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{directory}/{SOCKET_NAME}"  # an address may be shorter than the real path
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            listener.bind(path)
            os.chmod(path, 0o600)
            if self._uid is not None:
                os.chown(path, self._uid, self._uid)
        finally:
            os.close(directory)
        listener.listen(4)
        return listener

    def _fork(self, listener: socket.socket) -> "_Ends":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._held.enter_context(ours)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        (out_read, out_write), (err_read, err_write), (gate_read, gate_write) = os.pipe(), os.pipe(), os.pipe()
        for descriptor in (out_read, err_read, gate_write):
            self._held.callback(os.close, descriptor)
            os.set_blocking(descriptor, False)
        try:
            self._template.fork((theirs.fileno(), out_write, err_write, gate_read), self)
        finally:
            theirs.close()
            for descriptor in (out_write, err_write, gate_read):
                os.close(descriptor)
        self._listen_to("stdout", out_read)
        self._listen_to("stderr", err_read)
        return _Ends(listener, ours, out_read, err_read, gate_write)

    def _listen_to(self, stream: Literal["stdout", "stderr"], descriptor: int) -> None:
        """Until the process is linked or has failed; whoever reads the pipe then goes on where this stopped."""
        loop = asyncio.get_running_loop()

        def read(*, to_the_end: bool) -> None:
            while True:
                try:
                    data = os.read(descriptor, _OUTPUT_CHUNK_BYTES)
                except BlockingIOError:
                    return
                if not data:
                    loop.remove_reader(descriptor)
                    return
                self._hear(stream, data)
                if not to_the_end:
                    return

        def stop() -> None:
            loop.remove_reader(descriptor)
            if self._failure is not None:
                read(to_the_end=True)

        loop.add_reader(descriptor, partial(read, to_the_end=False))
        self._held.callback(stop)

    async def _hello(self, setup: socket.socket) -> int:
        while True:
            await self._readable(setup)
            try:
                data, ancillary, _, _ = setup.recvmsg(1, _CREDENTIALS_SPACE)
            except BlockingIOError:
                continue
            pid = sender_pid(ancillary)
            if data and pid:
                return pid
            await self._ending()

    async def _closed_in(self, setup: socket.socket) -> None:
        """Waits for the child to close its setup socket: it is closed in then, or has said why not."""
        said = b""
        while len(said) < _FAILURE_MAX_BYTES:
            await self._readable(setup)
            try:
                chunk = setup.recv(4096)
            except BlockingIOError:
                continue
            except ConnectionError:
                chunk = b""
            if not chunk:
                break
            said += chunk
        if said:
            raise ProcessStartError(f"the process could not be set up: {_reason(said)}")

    async def _accept(self, listener: socket.socket) -> socket.socket:
        while True:
            await self._readable(listener)
            try:
                link, _ = listener.accept()
            except BlockingIOError:
                continue
            link.setblocking(False)
            if self._is_ours(link):
                return link
            link.close()

    def _is_ours(self, link: socket.socket) -> bool:
        """Whether the peer is of this instance."""
        data = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(data)
        if self._uid is not None:
            return bool(uid == self._uid)
        return self.pid is not None and (pid == self.pid or pid in descendants(children_of(self.pid)))

    async def _readable(self, source: socket.socket) -> None:
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        loop.add_reader(source, self._wake)
        try:
            await self._waiting
        finally:
            loop.remove_reader(source)
            self._waiting = None

    async def _ending(self) -> None:
        """The child hung up; its end is on the way and says why."""
        if self._failure is not None:
            raise self._failure
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _map_ids(self, pid: int, uid: int) -> None:
        """Gives the child, which waits in a user namespace of its own, the one id it may be."""
        try:
            for kind in ("gid_map", "uid_map"):
                Path(f"/proc/{pid}/{kind}").write_text(f"{uid} {uid} 1\n")
        except OSError as error:
            raise ProcessStartError(f"its user id can't be mapped: {error.strerror}") from error


def _reason(said: bytes) -> str:
    """What a child says; the author's module was loaded before it was forked, so that it may be anything."""
    try:
        return str(json.loads(said)["failed"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "what it says makes no sense"
