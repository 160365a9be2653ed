"""Commands the agent runs: output streamed as it comes, bounded; nothing left running afterwards."""

import asyncio
import codecs
import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final, Literal

import msgspec

from podium.agent.tasks import AgentTasks
from podium.wire.events import TerminalComplete, TerminalStream

if TYPE_CHECKING:
    from podium.agent.context import AgentContext

OUTPUT_MAX_BYTES: Final = 1024 * 1024
"""Output beyond this is read and thrown away, unless `output_limit` says otherwise; `truncated` tells."""

CHUNK_BYTES: Final = 64 * 1024
"""Read at once, and so the most one `terminal.stream` carries."""

TERM_GRACE_SECONDS: Final = 2.0
"""After its timeout a command gets SIGTERM, and SIGKILL this much later."""

DRAIN_SECONDS: Final = 1.0
"""How long output is awaited after the command ended, when something it started keeps the pipe open."""

REAP_SECONDS: Final = 5.0
"""How long a killed process may take to end (one in the kernel's hands may not) before it is left to the supervisor."""

ADOPTED_POLL_SECONDS: Final = 0.002
"""How often a killed process we adopted is looked at until it can be reaped."""


class CommandSpec(msgspec.Struct, frozen=True):
    """What is to be run."""

    command: str | Sequence[str]
    cwd: str
    env: Mapping[str, str] | None
    timeout: float | None
    output_limit: int

    @property
    def argv(self) -> list[str]:
        """The arguments; a text is given to the shell."""
        return ["/bin/sh", "-c", self.command] if isinstance(self.command, str) else [str(a) for a in self.command]

    @property
    def title(self) -> str:
        """The command as one would type it."""
        return self.command if isinstance(self.command, str) else shlex.join(self.argv)


class CommandResult(msgspec.Struct, frozen=True):
    """How a command ended. `output` is stdout and stderr as they came; `exit_code` is None when a signal ended it."""

    exit_code: int | None
    output: str
    stdout: str
    stderr: str
    signal: str | None = None
    timed_out: bool = False
    truncated: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.exit_code == 0


class RunningCommand:
    """One command: `run` it once."""

    def __init__(self, ctx: "AgentContext", terminal_id: str, spec: CommandSpec, groups: set[int]) -> None:
        self._ctx = ctx
        self._id = terminal_id
        self._spec = spec
        self._groups = groups
        self._parts: list[tuple[str, str]] = []
        self._room = spec.output_limit
        self._truncated = False

    async def run(self) -> CommandResult:
        """Runs it to its end. Cancellation kills it with everything in its process group.

        Raises:
            OSError: it can't be started.
        """
        env = {**os.environ, **self._spec.env} if self._spec.env is not None else None
        # Its own process group, but the agent's session: killing the group ends it with its children, and the
        # supervisor still finds it by the session.
        process = subprocess.Popen(  # noqa: ASYNC220 - vfork and exec, a millisecond; running commands is the purpose
            self._spec.argv,
            cwd=self._spec.cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self._groups.add(process.pid)
        pumps = AgentTasks(lambda _name, error: self._ctx.log.failure("command output was lost", error))
        try:
            timed_out = await self._supervise(process, pumps)
        finally:
            kill_group(process.pid)
            await pumps.close(DRAIN_SECONDS)
            await _reap(process)
            await _reap_adopted(process.pid)
            self._groups.discard(process.pid)
            for pipe, _ in _pipes(process):
                pipe.close()
        return self._result(process.returncode, timed_out=timed_out)

    async def _supervise(self, process: "subprocess.Popen[bytes]", pumps: AgentTasks) -> bool:
        self._ctx._tell("terminal.stream", self._stream("stdout", "", self._spec.title))
        reading = {pumps.start(self._pump(pipe.fileno(), name), f"{self._id}:{name}") for pipe, name in _pipes(process)}
        timed_out = False
        try:
            async with asyncio.timeout(self._spec.timeout):
                await _exited(process.pid)
        except TimeoutError:
            timed_out = True
            kill_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TERM_GRACE_SECONDS):
                    await _exited(process.pid)
            kill_group(process.pid)
        await asyncio.wait(reading, timeout=DRAIN_SECONDS)
        return timed_out

    async def _pump(self, fd: int, name: Literal["stdout", "stderr"]) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        os.set_blocking(fd, False)
        while True:
            await _readable(fd)
            data = os.read(fd, CHUNK_BYTES)
            kept = data[: self._room]
            self._room -= len(kept)
            self._truncated = self._truncated or len(kept) < len(data)
            text = decoder.decode(kept, final=not data)
            if text:
                self._parts.append((name, text))
                self._ctx._tell("terminal.stream", self._stream(name, text))
                await self._ctx._room()
            if not data:
                return

    def _stream(self, name: Literal["stdout", "stderr"], data: str, command: str | None = None) -> TerminalStream:
        return TerminalStream(terminal_id=self._id, stream=name, data=data, command=command)

    def _result(self, returncode: int | None, *, timed_out: bool) -> CommandResult:
        code = returncode if returncode is not None and returncode >= 0 else None
        name = _signal_name(-returncode) if returncode is not None and returncode < 0 else None
        self._ctx._tell("terminal.complete", TerminalComplete(terminal_id=self._id, exit_code=code, signal=name))
        return CommandResult(
            exit_code=code,
            output="".join(text for _, text in self._parts),
            stdout="".join(text for stream, text in self._parts if stream == "stdout"),
            stderr="".join(text for stream, text in self._parts if stream == "stderr"),
            signal=name,
            timed_out=timed_out,
            truncated=self._truncated,
        )


def kill_group(group: int, with_signal: int = signal.SIGKILL) -> None:
    """Signals every process of `group`; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, with_signal)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def _exited(pid: int) -> None:
    """Waits until our child `pid` has ended, without reaping it: its id, and its group's, stay ours."""
    fd = os.pidfd_open(pid)
    try:
        await _readable(fd)
    finally:
        os.close(fd)


async def _reap(process: "subprocess.Popen[Any]") -> None:
    if process.poll() is not None:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_SECONDS):
            await _exited(process.pid)
    process.poll()


async def _reap_adopted(group: int) -> None:
    """Reaps killed members of `group` that have become our children: we adopt them where we are init or a subreaper."""
    with contextlib.suppress(ChildProcessError, TimeoutError):
        async with asyncio.timeout(REAP_SECONDS):
            while True:
                if os.waitpid(-group, os.WNOHANG)[0] == 0:  # noqa: ASYNC222 - WNOHANG
                    await asyncio.sleep(ADOPTED_POLL_SECONDS)  # they are ours and dying; there is no event for it


def _pipes(process: "subprocess.Popen[bytes]") -> list[tuple[IO[bytes], Literal["stdout", "stderr"]]]:
    pairs: tuple[tuple[IO[bytes] | None, Literal["stdout", "stderr"]], ...] = (
        (process.stdout, "stdout"),
        (process.stderr, "stderr"),
    )
    return [(pipe, name) for pipe, name in pairs if pipe is not None]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
