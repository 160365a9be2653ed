"""What the mark of a hollow entry says, and its bytes. Short: up to about 50 bytes lie in the inode itself (ext4).

A mark never needs the present: which node at which moment, or which content. So it stays true whatever is renamed meanwhile.
"""

import struct
from typing import Final, NamedTuple

from chronicle.model.errors import DamagedError

_FILE: Final = struct.Struct(">c?32sq")
_DIRECTORY: Final = struct.Struct(">c?qqIIq")
_NOBODY: Final = 0xFFFFFFFF

Owner = tuple[int, int]
"""User and group id."""


class FileMark(NamedTuple):
    """A placeholder of the content `digest`.

    `mtime_ns`: filling has begun; the file had this modification time before and gets it back. None: not begun.
    """

    digest: bytes
    mtime_ns: int | None = None


class DirectoryMark(NamedTuple):
    """A directory that holds what `node` held at moment `at`, for `owner` (None: whoever makes it).

    `mtime_ns` as of `FileMark`, for populating.
    """

    node: int
    at: int
    owner: Owner | None = None
    mtime_ns: int | None = None


Mark = FileMark | DirectoryMark


def encode(mark: Mark) -> bytes:
    """The value of the extended attribute.

    Big-endian. File: `f`, begun (one byte, 0 or 1), digest (32), modification time in ns (8, signed; 0 before it has begun).
    Directory: `d`, begun, node (8), moment (8), user id (4), group id (4; both 0xFFFFFFFF: none), modification time (8).
    """
    begun = mark.mtime_ns is not None
    if isinstance(mark, FileMark):
        return _FILE.pack(b"f", begun, mark.digest, mark.mtime_ns or 0)
    uid, gid = mark.owner or (_NOBODY, _NOBODY)
    return _DIRECTORY.pack(b"d", begun, mark.node, mark.at, uid, gid, mark.mtime_ns or 0)


def decode(value: bytes) -> Mark:
    """The mark of a value.

    Raises:
        DamagedError: it is none.
    """
    if value[:1] == b"f" and len(value) == _FILE.size:
        _, begun, digest, mtime_ns = _FILE.unpack(value)
        return FileMark(digest, mtime_ns if begun else None)
    if value[:1] == b"d" and len(value) == _DIRECTORY.size:
        _, begun, node, at, uid, gid, mtime_ns = _DIRECTORY.unpack(value)
        owner = None if uid == _NOBODY else (uid, gid)
        return DirectoryMark(node, at, owner, mtime_ns if begun else None)
    raise DamagedError(f"the mark of a hollow entry can't be read: {value!r}")
