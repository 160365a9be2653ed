"""Room in a file before it is written: `fallocate(2)`, without the library's way out of writing zeroes where it isn't there."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def allocate(fd: int, offset: int, length: int, mode: int = 0) -> None:
    """Blocks for these bytes, zeroes where nothing was; the file is as long at least afterwards. `mode`: as of `fallocate(2)`, for
    whoever wants something else.

    Raises:
        OSError: there is no room, or the file system has no such thing.
    """
    if _libc.fallocate(fd, mode, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
