"""Landlock: from here on this process and all it starts reach only the parts of the file system they are given (landlock(7)).

It needs no privilege, costs some tenths of a millisecond, and can't be undone. Beside files it takes away tracing, signalling and abstract sockets
of any process outside, as far as the kernel knows how.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterable
from typing import Final

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_ALL_BY_ABI: Final = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 4: 1 << 15, 5: 1 << 16}
"""One above the newest right on files each version of the interface knows."""

_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""The rights that make sense for what is no directory; others are refused in a rule of it."""

_SCOPES_SINCE: Final = 6
_SCOPES: Final = 1 | 2  # abstract sockets, signals

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def version() -> int:
    """The newest version of the interface this kernel has; 0: it has none, or may not use it."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


def confine(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Leaves reading and running what is below `readable`, and everything below `writable`. A path that is not there is left out. The process
    must not be able to gain privileges (`linux.forbid_new_privileges`).

    Raises:
        OSError: the kernel refuses.
    """
    abi = version()
    everything = _ALL_BY_ABI[min(abi, max(_ALL_BY_ABI))] - 1 if abi else 0
    wanted = _Ruleset(everything, 0, _SCOPES if abi >= _SCOPES_SINCE else 0)
    size = ctypes.sizeof(wanted) if abi >= _SCOPES_SINCE else 8
    ruleset = _call(_CREATE, ctypes.byref(wanted), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for paths, rights in ((readable, _READ), (writable, everything)):
            for path in paths:
                _allow(ruleset, path, rights & everything)
        _call(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            is_directory = os.stat(descriptor).st_mode & 0o170000 == 0o040000
            rule = _Beneath(rights if is_directory else rights & _OF_FILES, descriptor)
            _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
