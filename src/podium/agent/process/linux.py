"""The system calls this package needs and Python 3.11 does not have. Every failure is an `OSError`."""

import ctypes
import os
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38

_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_NOEXEC: Final = 8
_MS_BIND: Final = 4096
_MS_REC: Final = 16384
_MS_SLAVE: Final = 1 << 19

_CAPABILITY_VERSION_3: Final = 0x2008_0522

_libc = ctypes.CDLL(None, use_errno=True)
_CAPABILITY_HEADER = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()


def _check(result: int, call: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leaves the namespaces named by `flags`."""
    _check(_libc.unshare(flags), "unshare")


def die_with_parent(signal_number: int) -> None:
    """Has the kernel send `signal_number` when the parent ends. Lost when the user id changes: set it again then."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PDEATHSIG)")


def name_process(name: str) -> None:
    """What process lists show as the command; at most 15 bytes."""
    _check(_libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0), "prctl(NAME)")


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant that loses its own."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(CHILD_SUBREAPER)")


def forbid_new_privileges() -> None:
    """No set-user-id program gives more rights from now on, here and in all descendants."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(NO_NEW_PRIVS)")


def allow_inspection() -> None:
    """Undoes what a change of user id did to `/proc/self`: its files belong to the process's user again."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(DUMPABLE)")


def drop_capabilities() -> None:
    """Gives up all capabilities in this user namespace."""
    _check(_libc.capset(_CAPABILITY_HEADER, _NO_CAPABILITIES), "capset")


def map_own_ids(uid: int, gid: int) -> None:
    """In a new user namespace, without privileges: the one user and group one already is."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1\n")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1\n")


def follow_host_mounts() -> None:
    """What the host mounts later appears here, what is mounted here stays here."""
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)


def mount_proc(*, own_only: bool = False) -> None:
    """A `/proc` of this PID namespace. `own_only`: nobody sees processes of others in it (proc(5), hidepid)."""
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "hidepid=2" if own_only else None)


def mount_shared_memory() -> None:
    """Shared memory (shm_overview(7)) of this mount namespace alone, where the system has a place for it."""
    if os.path.isdir("/dev/shm"):
        _mount("tmpfs", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")


def mount_tmpfs(path: str) -> None:
    """A small empty file system over `path`, which everyone may read."""
    _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=1m")


def mount_bind(source: str, target: str) -> None:
    """What is at `source`, with its mounts, also at `target`."""
    _mount(source, target, None, _MS_BIND | _MS_REC)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    arguments = [None if value is None else os.fsencode(value) for value in (source, target, kind)]
    data = None if options is None else options.encode()
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), data), f"mount {target}")
