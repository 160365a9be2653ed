"""The template of a deployment: loads the author's entry once, then forks a process for every order.

Single-threaded, without an event loop and without descriptors of its own beside the control socket. What it loaded is
frozen, so that the collector of a child does not copy the pages it shares. An entry that can't be forked (it started
threads) is refused here; the coordinator then starts processes plainly.
"""

import errno
import gc
import os
import select
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

from podium.agent.process.child import Start, become_agent
from podium.agent.process.orders import FORK_DESCRIPTORS, PACKET_MAX_BYTES, Launch, pack

if TYPE_CHECKING:
    from podium.agent.entry import AgentFactory

EXIT_CODE_REFUSED: Final = 3
"""Exit code of a template that could not load its entry; it has said why."""

EXIT_CODE_UNCAUGHT: Final = 1
"""Exit code of a process whose agent raised, as of any Python program."""

_END_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Template:
    """Serves fork orders until its coordinator is gone."""

    def __init__(self, control: socket.socket, order: Launch) -> None:
        self._control = control
        self._order = order
        self._factory: AgentFactory | None = None
        self._numbers: dict[int, int] = {}
        self._waker: socket.socket | None = None

    def serve(self) -> int:
        """Loads, then forks; returns the exit code."""
        os.umask(0o077)
        if not self._load():
            return EXIT_CODE_REFUSED
        self._listen()
        gc.collect()
        gc.freeze()
        self._say({"warm": True})
        assert self._waker is not None
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._waker, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._waker.fileno() in ready:
                self._waker.recv(4096)
                self._reap()
            if self._control.fileno() in ready and not self._serve_one():
                return 0

    # ── loading ─────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self) -> bool:
        for path in self._order.visible:
            if not os.access(path, os.R_OK if path == self._order.directory else os.X_OK):
                return self._refuse("the agent's user id can't reach the interpreter, the bundle or its directory", "")
        if not self._order.warm:
            return True
        try:
            from podium.agent import entry, runtime
            from podium.agent.process.rehearsal import rehearse

            runtime.warm()
            rehearse()
            if self._order.preload is not None:
                self._factory = entry.load(self._order.preload, self._order.directory)
        except BaseException as error:  # noqa: BLE001 - whatever the author's module does, its author is told
            return self._refuse(_reason(error).replace(self._order.directory, "the bundle"), traceback.format_exc())
        if len(os.listdir("/proc/self/task")) > 1:
            self._say({"refused": "it starts threads when it is imported", "unforkable": True})
            return False
        return True

    def _refuse(self, reason: str, trace: str) -> bool:
        sys.stderr.write(trace)
        sys.stderr.flush()
        self._say({"refused": reason})
        return False

    def _listen(self) -> None:
        """Takes signals back from whatever was imported."""
        self._waker, writer = socket.socketpair()
        writer.setblocking(False)
        for number in _END_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)

    # ── serving ─────────────────────────────────────────────────────────────────────────────────────────────

    def _serve_one(self) -> bool:
        """One packet; False when the coordinator is gone or has had enough."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, PACKET_MAX_BYTES, FORK_DESCRIPTORS)
        except OSError as error:
            return error.errno in (errno.EINTR, errno.EAGAIN)
        if not data:
            return False
        number = int(data)
        try:
            self._fork(number, descriptors)
        except OSError as error:
            self._say({"failed": number, "reason": f"fork: {os.strerror(error.errno or 0)}"})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _fork(self, number: int, descriptors: list[int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        setup, stdout, stderr, gate = descriptors
        start = Start(setup, stdout, stderr, gate, os.getpid(), self._order.users, self._order.sandboxed)
        pid = os.fork()
        if pid:
            self._numbers[pid] = number
            return
        code = EXIT_CODE_UNCAUGHT
        try:
            self._forget_descriptors()
            code = become_agent(start, self._factory)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else EXIT_CODE_UNCAUGHT
        except BaseException:  # noqa: BLE001 - the last frame of the process: told as the interpreter would
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code & 0xFF)

    def _forget_descriptors(self) -> None:
        """In a child: its numbers will soon belong to something else, so nobody may close them."""
        self._control.detach()
        if self._waker is not None:
            self._waker.detach()

    def _reap(self) -> None:
        """Reaps everyone who has ended: instances, which are reported, and orphans of theirs."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._numbers.pop(pid, None)
            if number is not None:
                self._say({"ended": number, "status": status})

    def _say(self, report: dict[str, Any]) -> None:
        try:
            self._control.send(pack(report))
        except OSError:  # the coordinator is gone, which the next poll tells
            return


def _reason(error: BaseException) -> str:
    """What went wrong, in one line an author understands."""
    said = str(error).strip().splitlines()
    if (
        type(error).__name__ == "AgentEntryError" and said
    ):  # says it all; its class can't be imported before it is needed
        return said[0]
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
