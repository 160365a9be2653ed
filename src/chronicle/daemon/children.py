"""Forking from the warmed supervisor: everything is imported and shared, nothing that belongs to others is taken along."""

import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection
from typing import Final

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_libc = ctypes.CDLL(None, use_errno=True)


def warm() -> None:
    """Makes what is loaded cheap to share: collected once, then left alone by the collector, so that children don't copy pages."""
    gc.collect()
    gc.freeze()


def fork(name: str, work: Callable[[], int], keep: Collection[int]) -> int:
    """Forks a child that does `work` and ends with its exit code; the child's process id.

    The child has standard error and the descriptors in `keep`, nothing else; it gets SIGTERM when this process dies. Only for
    processes with one thread.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _settle_in(name, parent, keep)
        code = work()
    except BaseException:  # noqa: BLE001 - the child's end: there is nobody above to catch it
        _log.critical("a worker fails", exc_info=True)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def start(name: str, work: Callable[[], int], keep: Collection[int]) -> tuple[int, int]:
    """As `fork`: the child's process id, and a descriptor that can be read when it is gone.

    Raises:
        OSError: the host has no room for another process or descriptor; then there is no child.
    """
    pid = fork(name, work, keep)
    try:
        return pid, os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _settle_in(name: str, parent: int, keep: Collection[int]) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor tells its workers
    _close_all_but({*keep, 2})
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        if nothing != standard:
            os.dup2(nothing, standard)
    if nothing > 2:
        os.close(nothing)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before that was set
        os._exit(1)
    name_process(name)


def name_process(name: str) -> None:
    """What process lists call this process; at most 15 bytes."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def _close_all_but(keep: Collection[int]) -> None:
    """Objects of the parent may still name closed descriptors; they live until `_exit` and are never finalised."""
    previous = -1
    for descriptor in sorted(keep):
        os.closerange(previous + 1, descriptor)
        previous = descriptor
    os.closerange(previous + 1, max(os.sysconf("SC_OPEN_MAX"), 1024) if previous < 0 else _highest() + 1)


def _highest() -> int:
    return max(int(name) for name in os.listdir("/proc/self/fd"))
