"""The FUSE protocol (`linux/fuse.h`, version 7.x, little endian) as constants, structures and pure packing and unpacking.

A request is a header of 40 bytes and a body that depends on the opcode; a reply is a header of 16 bytes (length, negative
errno, the request's `unique`) and a body. Names in bodies end with NUL.
"""

import errno
import os
import struct
from typing import Final, NamedTuple

KERNEL_MAJOR: Final = 7
KERNEL_MINOR: Final = 45
"""The newest minor version we know; the lower of ours and the kernel's is spoken."""

ROOT_ID: Final = 1
"""`FUSE_ROOT_ID`: the node of the mount's root."""

# Opcodes (`enum fuse_opcode`).
LOOKUP: Final = 1
FORGET: Final = 2
GETATTR: Final = 3
SETATTR: Final = 4
READLINK: Final = 5
SYMLINK: Final = 6
MKNOD: Final = 8
MKDIR: Final = 9
UNLINK: Final = 10
RMDIR: Final = 11
RENAME: Final = 12
LINK: Final = 13
OPEN: Final = 14
READ: Final = 15
WRITE: Final = 16
STATFS: Final = 17
RELEASE: Final = 18
FSYNC: Final = 20
SETXATTR: Final = 21
GETXATTR: Final = 22
LISTXATTR: Final = 23
REMOVEXATTR: Final = 24
FLUSH: Final = 25
INIT: Final = 26
OPENDIR: Final = 27
READDIR: Final = 28
RELEASEDIR: Final = 29
FSYNCDIR: Final = 30
ACCESS: Final = 34
CREATE: Final = 35
INTERRUPT: Final = 36
DESTROY: Final = 38
BATCH_FORGET: Final = 42
FALLOCATE: Final = 43
READDIRPLUS: Final = 44
RENAME2: Final = 45
LSEEK: Final = 46
TMPFILE: Final = 51

WITHOUT_REPLY: Final = frozenset({FORGET, BATCH_FORGET, INTERRUPT})
"""Requests that the kernel does not wait for."""

NAMES: Final = {
    value: name.lower()
    for name, value in list(globals().items())
    if isinstance(value, int) and name.isupper() and name not in ("KERNEL_MAJOR", "KERNEL_MINOR", "ROOT_ID")
}
"""Opcode → name, for statistics and logs."""

# Abilities (`FUSE_INIT` flags; those from bit 32 on travel in `flags2`).
ASYNC_READ: Final = 1 << 0
ATOMIC_O_TRUNC: Final = 1 << 3
BIG_WRITES: Final = 1 << 5
DO_READDIRPLUS: Final = 1 << 13
READDIRPLUS_AUTO: Final = 1 << 14
ASYNC_DIO: Final = 1 << 15
PARALLEL_DIROPS: Final = 1 << 18
MAX_PAGES: Final = 1 << 22
CACHE_SYMLINKS: Final = 1 << 23
NO_OPENDIR_SUPPORT: Final = 1 << 24
HANDLE_KILLPRIV_V2: Final = 1 << 28
INIT_EXT: Final = 1 << 30
PASSTHROUGH: Final = 1 << 37
HAS_RESEND: Final = 1 << 39
OVER_IO_URING: Final = 1 << 41

# Flags of replies to OPEN.
FOPEN_DIRECT_IO: Final = 1 << 0
FOPEN_KEEP_CACHE: Final = 1 << 1
FOPEN_PASSTHROUGH: Final = 1 << 7

# Flags of requests.
GETATTR_FH: Final = 1 << 0
OPEN_KILL_SUIDGID: Final = 1 << 0
WRITE_KILL_SUIDGID: Final = 1 << 2
FSYNC_FDATASYNC: Final = 1 << 0

# Valid bits of SETATTR.
FATTR_MODE: Final = 1 << 0
FATTR_UID: Final = 1 << 1
FATTR_GID: Final = 1 << 2
FATTR_SIZE: Final = 1 << 3
FATTR_ATIME: Final = 1 << 4
FATTR_MTIME: Final = 1 << 5
FATTR_FH: Final = 1 << 6
FATTR_ATIME_NOW: Final = 1 << 7
FATTR_MTIME_NOW: Final = 1 << 8
FATTR_LOCKOWNER: Final = 1 << 9
FATTR_CTIME: Final = 1 << 10
FATTR_KILL_SUIDGID: Final = 1 << 11

# ioctls of /dev/fuse.
BACKING_OPEN: Final = 0x4010E501
BACKING_CLOSE: Final = 0x4004E502

# Notifications: replies with `unique` 0 and this code instead of an errno.
NOTIFY_INVAL_INODE: Final = 2
NOTIFY_RESEND: Final = 7
UNIQUE_RESEND: Final = 1 << 63
"""Set in `unique` of a request that is sent again, perhaps after it was carried out already."""

SECOND: Final = 1_000_000_000

HEADER: Final = struct.Struct("<IIQQIIII")
"""len, opcode, unique, node, uid, gid, pid, lengths of extensions."""

OUT: Final = struct.Struct("<IiQ")
"""len, error, unique."""

_ENTRY: Final = struct.Struct("<IiQ QQQQII QQQQQQIIIIIIIIII")
_ENTRY_OPEN: Final = struct.Struct("<IiQ QQQQII QQQQQQIIIIIIIIII QIi")
_PLUS: Final = struct.Struct("<QQQQII QQQQQQIIIIIIIIII QQII")
_ATTRIBUTES: Final = struct.Struct("<IiQ QII QQQQQQIIIIIIIIII")
_OPEN: Final = struct.Struct("<IiQ QIi")
_DIRENT: Final = struct.Struct("<QQII")
_VALUE64: Final = struct.Struct("<IiQ Q")
_VALUE32: Final = struct.Struct("<IiQ II")
_STATFS: Final = struct.Struct("<IiQ QQQQQIIII24x")
_INIT_OUT: Final = struct.Struct("<IiQ IIIIHHIIHHIIH22x")
_PADS: Final = tuple(bytes(count) for count in range(8))

SETATTR_IN: Final = struct.Struct("<IIQQQQQQIIIIIIII")
"""valid, padding, fh, size, lock owner, atime, mtime, ctime, their nanoseconds, mode, unused, uid, gid, unused."""

READ_IN: Final = struct.Struct("<QQI")
"""fh, offset, size; the same for READ, READDIR, LSEEK (whence instead of size)."""

WRITE_IN: Final = struct.Struct("<QQII")
"""fh, offset, size, `WRITE_…` flags; what follows up to `WRITE_IN_BYTES` is of no interest."""

WRITE_IN_BYTES: Final = 40
"""Data of a WRITE begin here in its body."""

FALLOCATE_IN: Final = struct.Struct("<QQQI")
RELEASE_IN: Final = struct.Struct("<QII")
"""fh, open flags, release flags."""

U32: Final = struct.Struct("<I")
U32X2: Final = struct.Struct("<II")
U64: Final = struct.Struct("<Q")
FORGETS: Final = struct.Struct("<QQ")
BACKING: Final = struct.Struct("<iIQ")
INVAL_INODE: Final = struct.Struct("<IiQ Qqq")

Attributes = tuple[int, ...]
"""The sixteen numbers of `struct fuse_attr`."""

NO_ATTRIBUTES: Final[Attributes] = (0,) * 16

NLINK_AT: Final = 10
"""Place of the number of links among them."""


class Initialisation(NamedTuple):
    """What the kernel offers, or what was agreed: minor version, flags (64 bits), readahead, largest write."""

    minor: int
    flags: int
    readahead: int
    max_write: int


class Request:
    """One request. `body` is what follows the header; it is valid until the next read unless `keep` was called.

    `prepared`: what had to be waited for has happened; the request is carried out for the second time.
    """

    __slots__ = ("body", "gid", "node", "opcode", "pid", "prepared", "uid", "unique")

    def __init__(self, buffer: bytearray | memoryview | bytes, length: int) -> None:
        _, self.opcode, self.unique, self.node, self.uid, self.gid, self.pid, _ = HEADER.unpack_from(buffer)
        self.body: memoryview | bytes = memoryview(buffer)[40:length]
        self.prepared = False

    def keep(self) -> None:
        """Copies the body, so that the request outlives the buffer it was read into."""
        self.body = bytes(self.body)

    def name(self, offset: int = 0) -> bytes:
        """The body from `offset` on without the NUL at its end."""
        return bytes(self.body[offset:-1])

    def names(self, offset: int = 0) -> tuple[bytes, bytes]:
        """Two names, one after the other."""
        first, _, second = bytes(self.body[offset:-1]).partition(b"\0")
        return first, second

    @property
    def resent(self) -> bool:
        """Whether an earlier process may have carried this out already."""
        return bool(self.unique & UNIQUE_RESEND)


def parse_init(body: memoryview | bytes) -> tuple[int, Initialisation]:
    """Major version and what the kernel offers."""
    major, minor, readahead, flags = struct.unpack_from("<IIII", body)
    if flags & INIT_EXT and len(body) >= 20:
        flags |= struct.unpack_from("<I", body, 16)[0] << 32
    return major, Initialisation(minor, flags, readahead, 0)


def init_reply(unique: int, agreed: Initialisation) -> bytes:
    """The reply to INIT. As many requests as possible may be in flight in the background: the kernel then keeps RELEASE in order
    with what follows it. A stack of two filesystems below passthrough allows for overlayfs."""
    return _INIT_OUT.pack(
        _INIT_OUT.size, 0, unique,
        KERNEL_MAJOR, agreed.minor, agreed.readahead, agreed.flags & 0xFFFFFFFF,
        65535, 65535, agreed.max_write, 1, agreed.max_write >> 12, 0,
        agreed.flags >> 32, 2 if agreed.flags & PASSTHROUGH else 0, 0,
    )  # fmt: skip


def attributes_of(st: os.stat_result) -> Attributes:
    """`struct fuse_attr` of what `stat` said."""
    atime, mtime, ctime = st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns
    return (
        st.st_ino, st.st_size, st.st_blocks,
        atime // SECOND & 0xFFFFFFFFFFFFFFFF, mtime // SECOND & 0xFFFFFFFFFFFFFFFF, ctime // SECOND & 0xFFFFFFFFFFFFFFFF,
        atime % SECOND, mtime % SECOND, ctime % SECOND,
        st.st_mode, st.st_nlink, st.st_uid, st.st_gid, st.st_rdev & 0xFFFFFFFF, st.st_blksize, 0,
    )  # fmt: skip


def signed(seconds: int) -> int:
    """Seconds since 1970 as the protocol has them: unsigned, meant signed."""
    return seconds - (1 << 64) if seconds >> 63 else seconds


def ok(unique: int) -> bytes:
    """Done, nothing to say."""
    return OUT.pack(16, 0, unique)


def failed(unique: int, number: int | None) -> bytes:
    """An error; one without a number is `EIO`."""
    return OUT.pack(16, -(number or errno.EIO), unique)


def data(unique: int, body: bytes) -> bytes:
    """Bytes."""
    return OUT.pack(16 + len(body), 0, unique) + body


def entry(unique: int, node: int, seconds: tuple[int, int], attributes: Attributes) -> bytes:
    """A name's node; node 0: there is none, to be remembered for as long. `seconds`: of validity, whole and nanoseconds."""
    whole, nanos = seconds
    return _ENTRY.pack(144, 0, unique, node, 0, whole, whole, nanos, nanos, *attributes)


def entry_opened(
    unique: int, node: int, seconds: tuple[int, int], attributes: Attributes, opened: tuple[int, int, int]
) -> bytes:
    """A node made and opened; `opened` is handle, `FOPEN_…` flags, backing id."""
    whole, nanos = seconds
    return _ENTRY_OPEN.pack(160, 0, unique, node, 0, whole, whole, nanos, nanos, *attributes, *opened)


def attributes(unique: int, seconds: tuple[int, int], values: Attributes) -> bytes:
    """Attributes of a node."""
    return _ATTRIBUTES.pack(120, 0, unique, *seconds, 0, *values)


def opened(unique: int, handle: int, flags: int, backing: int = 0) -> bytes:
    """An open file."""
    return _OPEN.pack(32, 0, unique, handle, flags, backing)


def written(unique: int, count: int) -> bytes:
    """So many bytes were written."""
    return _VALUE32.pack(24, 0, unique, count, 0)


def sized(unique: int, size: int) -> bytes:
    """The size of an extended attribute or of their list, when only that was asked for."""
    return _VALUE32.pack(24, 0, unique, size, 0)


def position(unique: int, offset: int) -> bytes:
    """Where LSEEK arrived."""
    return _VALUE64.pack(24, 0, unique, offset)


def statfs(unique: int, values: tuple[int, int, int, int, int, int, int, int]) -> bytes:
    """blocks, free, available, files, free files, block size, longest name, fragment size."""
    return _STATFS.pack(_STATFS.size, 0, unique, *values, 0)


def directory_entry(inode: int, offset: int, kind: int, name: bytes) -> bytes:
    """One entry of READDIR. `offset` is where the next one is found, `kind` a `DT_…` number."""
    return _DIRENT.pack(inode, offset, len(name), kind) + name + _PADS[-len(name) & 7]


def directory_entry_bytes(name: bytes, *, plus: bool) -> int:
    """How long an entry of this name is."""
    return (24 + len(name) + 7 & ~7) + (128 if plus else 0)


def directory_entry_plus(
    node: int, seconds: tuple[int, int], values: Attributes, offset: int, kind: int, name: bytes
) -> bytes:
    """One entry of READDIRPLUS; node 0: without attributes, the kernel asks when it wants them."""
    whole, nanos = seconds
    inode = values[0]
    head = _PLUS.pack(node, 0, whole, whole, nanos, nanos, *values, inode, offset, len(name), kind)
    return head + name + _PADS[-len(name) & 7]


def resend() -> bytes:
    """Asks the kernel to send again all that was read from the device and not answered."""
    return OUT.pack(16, NOTIFY_RESEND, 0)


def invalidate_attributes(node: int) -> bytes:
    """Tells the kernel that a node's attributes are others now; its cached data stay."""
    return INVAL_INODE.pack(40, NOTIFY_INVAL_INODE, 0, node, -1, 0)
