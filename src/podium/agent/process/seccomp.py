"""Seccomp: system calls that no agent needs, and that have let others out of their sandbox before, answer `EPERM` (seccomp(2)).

A list of what is forbidden, not of what is allowed: agents run whatever people install. What can make namespaces, load code into the kernel, look
into other processes, change the host's clock or reach files by number is on it. `clone3` answers `ENOSYS`, for its flags can't be looked at;
libraries fall back to `clone`, whose flags can.
"""

import ctypes
import errno
import os
import platform
from typing import Final, NamedTuple

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF_0000
_ERRNO: Final = 0x0005_0000
_KILL: Final = 0x8000_0000

_LOAD, _EQUAL, _AND_SET, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_NEW_NAMESPACES: Final = 0x7E02_0000
"""`CLONE_NEW*` of clone(2): user, PID, mount, network, IPC, UTS, cgroup."""

_X32: Final = 0x4000_0000

# Names as in the manuals; numbers by architecture: x86_64, aarch64 (None: there is none).
_FORBIDDEN: Final[dict[str, tuple[int | None, int | None]]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "move_pages": (279, 239),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
}


class _Machine(NamedTuple):
    audit: int
    column: int
    clone: int
    clone3: int


_MACHINES: Final = {
    "x86_64": _Machine(0xC000_003E, 0, 56, 435),
    "aarch64": _Machine(0xC000_00B7, 1, 220, 435),
}

_libc = ctypes.CDLL(None, use_errno=True)


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def install() -> None:
    """Installs the filter, here and in all descendants, for good. The process must not be able to gain privileges.

    Raises:
        OSError: the kernel refuses, or the architecture is another one.
    """
    if _FILTER is None:
        raise OSError(errno.ENOSYS, f"seccomp: no filter for {platform.machine()}")
    filled = _Program(len(_FILTER), _FILTER)
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filled), 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def program(machine: _Machine) -> list[tuple[int, int, int, int]]:
    """The filter as instructions of BPF: code, jump if it holds, jump if not, value."""
    numbers = sorted(number for each in _FORBIDDEN.values() if (number := each[machine.column]) is not None)
    refuse, no_call, allow = (
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
    )
    written = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        refuse,
        (_EQUAL, 0, 1, machine.clone3),
        no_call,
        (_EQUAL, 0, 4, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_AND_SET, 0, 1, _NEW_NAMESPACES),
        refuse,
        allow,
    ]
    for number in numbers:
        written += [(_EQUAL, 0, 1, number), refuse]
    return [*written, allow]


def _written() -> "ctypes.Array[_Instruction] | None":
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return None
    written = program(machine)
    return (_Instruction * len(written))(*(_Instruction(*each) for each in written))


_FILTER: Final = _written()
"""Made when a template loads this, so that no fork of it has to. None: there is none for this architecture."""
