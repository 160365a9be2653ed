"""Room in a file before it is written: `fallocate(2)`, without the library's way out of writing zeroes where it isn't there."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def allocate(fd: int, offset: int, length: int) -> None:
    """Blocks for these bytes, zeroes where nothing was; the file is as long at least afterwards.

    Raises:
        OSError: there is no room, or the file system has no such thing.
    """
    if _libc.fallocate(fd, 0, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
