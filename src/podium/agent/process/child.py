"""From a fresh fork to an agent: one step after the other, each small, in an order that matters.

1. session, signals, descriptors: nothing of the template is left open
2. hello: the coordinator learns the pid from the kernel, puts it in its cgroup, maps its user id, sends the `Setup`
3. user id, limits, privileges: from here on it has no more rights than the agent
4. environment; then, as soon as the workspace is there, into it; then the fence, which is drawn around what is there
5. the agent: in this process, or by replacing it with a program

A page the child writes to is a page it no longer shares with the template, and in CPython touching an object writes to it. So
the steps use bare descriptors and the C module under `signal` (which wraps every number into an enumeration).
"""

import _signal  # type: ignore[import-not-found]
import contextlib
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from podium.agent.process import landlock, linux, seccomp
from podium.agent.process.orders import GATE_DESCRIPTOR, HELLO, Setup, pack, read_exactly, read_setup
from podium.agent.process.running import run_entry, run_factory

if TYPE_CHECKING:
    from podium.agent.entry import AgentFactory

EXIT_CODE_SETUP: Final = 70
"""Exit code of a child that could not be closed in; it has said why on its setup socket."""

_SETUP_DESCRIPTOR: Final = 3
DESCRIPTORS_END: Final = 2**31 - 1
"""Above every descriptor there can be; closing a range is one system call."""

_SIGNALS_TAKEN: Final = (int(signal.SIGCHLD), int(signal.SIGTERM), int(signal.SIGHUP))
_SIGINT: Final = int(signal.SIGINT)
_SIGKILL: Final = int(signal.SIGKILL)


class Start(NamedTuple):
    """Descriptors of a fork order, the template's pid as seen here, and the user namespace to enter.

    `users`: `mapped` (the coordinator maps the agent's user id), `own` (one's own id; no other right comes with it, but
    every descendant carries the namespace as a mark), or empty. `sandboxed`: as in `Launch`.
    """

    setup: int
    stdout: int
    stderr: int
    gate: int
    template: int
    users: str
    sandboxed: bool


def become_agent(start: Start, factory: "AgentFactory | None") -> int:
    """Everything between fork and exit. `factory`: the loaded entry, None when it must be loaded here."""
    _begin(start)
    try:
        _enter_namespaces(start)
        os.write(_SETUP_DESCRIPTOR, HELLO)
        setup = read_setup(_SETUP_DESCRIPTOR)
        _close_in(setup, in_user_namespace=bool(start.users))
        if os.getppid() != start.template:
            return EXIT_CODE_SETUP
        _settle(setup)
        if setup.command is not None and setup.command_waits:
            os.set_inheritable(GATE_DESCRIPTOR, True)
        else:
            _enter(setup.workspace)
        if setup.fence is not None:
            landlock.confine(*setup.fence)
            seccomp.install()
    except (OSError, EOFError, ValueError) as error:
        _refuse(str(error))
        return EXIT_CODE_SETUP
    if setup.command is not None:
        return _replace(setup.command)
    os.close(_SETUP_DESCRIPTOR)
    if factory is not None:
        return run_factory(factory)
    return run_entry(setup.directory, setup.entry)


def _begin(start: Start) -> None:
    """A session of its own, default signals, and only its own descriptors."""
    os.setsid()
    linux.name_process("podium-agent")
    _signal.set_wakeup_fd(-1)
    for number in _SIGNALS_TAKEN:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_SIGINT, _signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(start.stdout, 1)
    os.dup2(start.stderr, 2)
    gate = os.dup(start.gate) if start.gate == _SETUP_DESCRIPTOR else start.gate
    for descriptor, number in ((start.setup, _SETUP_DESCRIPTOR), (gate, GATE_DESCRIPTOR)):
        if descriptor != number:
            os.dup2(descriptor, number, inheritable=False)
    os.closerange(GATE_DESCRIPTOR + 1, DESCRIPTORS_END)


def _enter_namespaces(start: Start) -> None:
    if not start.users:
        return
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | (linux.CLONE_NEWIPC | linux.CLONE_NEWUTS if start.sandboxed else 0))
    if start.users == "own":
        linux.map_own_ids(uid, gid)


def _close_in(setup: Setup, *, in_user_namespace: bool) -> None:
    """Takes away every right the agent is not to have. Limits come last: with them a step could fail."""
    if setup.uid is not None:
        os.setgroups([])
        os.setresgid(setup.uid, setup.uid, setup.uid)
        os.setresuid(setup.uid, setup.uid, setup.uid)
    if in_user_namespace:
        linux.drop_capabilities()
    if setup.uid is not None or in_user_namespace:
        linux.allow_inspection()
    linux.die_with_parent(_SIGKILL)
    if setup.closed:
        linux.forbid_new_privileges()
    for name, value in setup.limits.items():
        _limit(getattr(resource, name), value)


def _limit(which: int, value: int) -> None:
    """Lowers a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    top = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (top, top))


def _settle(setup: Setup) -> None:
    """The environment is built from nothing; what libraries drew from the clock or the system before is drawn anew."""
    os.umask(0o077)
    os.environ.clear()
    os.environ.update(setup.environment)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _enter(workspace: str) -> None:
    """Waits until the workspace is there, and goes into it."""
    read_exactly(GATE_DESCRIPTOR, 1)
    os.close(GATE_DESCRIPTOR)
    os.chdir(workspace)


def _replace(command: list[str]) -> int:
    """The child becomes another program; returns only when that failed."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    try:
        os.execve(command[0], command, os.environ)
    except OSError as error:
        _refuse(f"{os.path.basename(command[0])}: {os.strerror(error.errno or 0)}")
    return EXIT_CODE_SETUP


def _refuse(reason: str) -> None:
    with contextlib.suppress(OSError):
        os.write(_SETUP_DESCRIPTOR, pack({"failed": reason}))
