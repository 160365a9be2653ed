"""Unix sockets at paths of any length, only for who may use them.

`sun_path` holds 108 bytes (unix(7)), workspaces lie deeper than that. Both sides therefore open the directory and name the
socket through `/proc/self/fd`. A socket has mode 0600, its directory should be 0700, and the server asks the kernel who connects.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BACKLOG: Final = 64
"""Connections that may wait to be accepted."""


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, not blocking; one that was left there is replaced. Only who holds a lock may call this."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            with _address(path) as address:
                listener.bind(address)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: Path, timeout: float) -> socket.socket | None:
    """A connection to `path`; None when nobody listens there.

    Raises:
        OSError: it exists and can't be reached (not permitted).
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _address(path) as address:
            connection.connect(address)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return connection


def may_talk(connection: socket.socket) -> bool:
    """Whether the peer is root or runs as this process's user (`SO_PEERCRED`, unix(7))."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", raw)
    return uid in (0, os.geteuid())
