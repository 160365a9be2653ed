"""`/dev/fuse` and the mount table: mounting as root and as an ordinary user, unmounting, mounts whose process died, abilities."""

import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from chronicle.model.errors import NotSupportedError, StorageError
from chronicle.mount import host, protocol
from chronicle.mount.options import MountOptions

DEVICE: Final = "/dev/fuse"
FILESYSTEM: Final = "fuse.chronicle"
"""The type that the mount table shows."""

HELPER_SECONDS: Final = 20.0
"""`fusermount3` only makes one system call; one that hangs so long is broken."""

PASSTHROUGH_KERNEL: Final = (6, 9)
"""`FUSE_PASSTHROUGH` is there from Linux 6.9 on."""


class Mounted(NamedTuple):
    """One line of the mount table: where, what type, what it calls itself."""

    mountpoint: Path
    filesystem: str
    source: str


class Abilities(msgspec.Struct, frozen=True):
    """What this host offers a process with our rights. `how` says in one sentence why something is missing."""

    fuse: bool
    passthrough: bool
    io_uring: bool
    resend: bool
    how: str


def may_mount() -> bool:
    """Whether `mount(2)` is ours to call (root of this namespace)."""
    return os.geteuid() == 0


def open_device(options: MountOptions) -> int:
    """Mounts at `options.mountpoint` and returns the descriptor that requests come from. A dead mount there is removed first.

    Raises:
        NotSupportedError: there is no `/dev/fuse`, or no right to it.
        StorageError: the mount point can't be used.
    """
    target = Path(os.path.abspath(options.mountpoint))
    if is_dead(target):
        unmount(target, lazy=True)
    if not target.is_dir():
        raise StorageError(f"{target} is not a directory; a workspace can be mounted only on one")
    try:
        return _mount_directly(target, options) if may_mount() else _mount_by_helper(target, options)
    except OSError as error:
        raise NotSupportedError(f"can't mount at {target}: {error.strerror or error}") from error


def checks_permissions(options: MountOptions) -> bool:
    """Whether the kernel checks permissions: when others may enter, and when we are not root (who is never refused)."""
    chosen = options.default_permissions
    return chosen if chosen is not None else options.allow_other or os.geteuid() != 0


def _flags(options: MountOptions) -> list[str]:
    flags = []
    if checks_permissions(options):
        flags.append("default_permissions")
    if options.allow_other:
        flags.append("allow_other")
    return flags


def _mount_directly(target: Path, options: MountOptions) -> int:
    device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        data = [f"fd={device}", "rootmode=40000", f"user_id={os.getuid()}", f"group_id={os.getgid()}", *_flags(options)]
        host.mount(
            os.fsencode(options.source), os.fsencode(target), FILESYSTEM.encode(), host.MS_NOSUID | host.MS_NODEV,
            ",".join(data).encode(),
        )  # fmt: skip
    except BaseException:
        os.close(device)
        raise
    return device


def _mount_by_helper(target: Path, options: MountOptions) -> int:
    """`fusermount3` (set-uid) mounts for us and sends the descriptor back over the socket that `_FUSE_COMMFD` names."""
    program = shutil.which("fusermount3")
    if program is None:
        raise NotSupportedError("mounting as an ordinary user needs fusermount3 (package fuse3)")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        flags = ["nosuid", "nodev", f"fsname={options.source}", "subtype=chronicle", *_flags(options)]
        result = subprocess.run(
            [program, "-o", ",".join(flags), "--", str(target)],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()], capture_output=True, text=True, timeout=HELPER_SECONDS, check=False,
        )  # fmt: skip
        if result.returncode != 0:
            raise NotSupportedError(f"fusermount3 can't mount at {target}: {result.stderr.strip()}")
        ours.settimeout(HELPER_SECONDS)
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        raise NotSupportedError("fusermount3 sent no descriptor of /dev/fuse")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


def unmount(mountpoint: Path, *, lazy: bool = False) -> None:
    """Takes the mount away; `lazy`: from the tree at once, wholly when its last user is gone. Not mounted: no error.

    Raises:
        StorageError: it is in use, or not ours.
    """
    target = Path(os.path.abspath(mountpoint))
    if may_mount():
        try:
            host.unmount(os.fsencode(target), host.MNT_DETACH if lazy else 0)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise StorageError(f"can't unmount {target}: {error.strerror}") from error
        return
    if not any(mounted.mountpoint == target for mounted in mounts()):
        return
    program = shutil.which("fusermount3")
    if program is None:
        raise NotSupportedError("unmounting as an ordinary user needs fusermount3 (package fuse3)")
    command = [program, "-u", *(["-z"] if lazy else []), "--", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HELPER_SECONDS, check=False)
    if result.returncode != 0:
        raise StorageError(f"can't unmount {target}: {result.stderr.strip()}")


def mounts(filesystem: str | None = FILESYSTEM) -> list[Mounted]:
    """What is mounted in our namespace of this type (None: any), in the order in which it was mounted."""
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        left, _, right = line.partition(b" - ")
        kind, source = right.split(b" ")[:2]
        if filesystem is None or kind.decode() == filesystem:
            found.append(
                Mounted(Path(os.fsdecode(_plain(left.split(b" ")[4]))), kind.decode(), os.fsdecode(_plain(source)))
            )
    return found


def _plain(field: bytes) -> bytes:
    """A field of mountinfo without its octal escapes of space, tab, newline and backslash."""
    for escape, plain in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escape, plain)
    return field


def is_dead(mountpoint: Path) -> bool:
    """Whether a FUSE mount is there whose process is gone (`ENOTCONN`)."""
    try:
        os.lstat(mountpoint)
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def can_pass_through(device: int) -> bool:
    """Whether the kernel lets us hand it files (it needs CAP_SYS_ADMIN of the host); after INIT agreed on it."""
    probe = os.memfd_create("chronicle-probe", os.MFD_CLOEXEC)
    try:
        backing = fcntl.ioctl(device, protocol.BACKING_OPEN, bytearray(protocol.BACKING.pack(probe, 0, 0)))
        fcntl.ioctl(device, protocol.BACKING_CLOSE, bytearray(protocol.U32.pack(backing)))
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(probe)


def probe() -> Abilities:
    """What a mount by us could do here, found out with a real one in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="chronicle-probe-") as place:
        mountpoint = Path(place)
        try:
            device = open_device(MountOptions(mountpoint=mountpoint, source="chronicle-probe"))
        except (NotSupportedError, StorageError) as error:
            return Abilities(False, False, False, False, str(error))
        try:
            return _probe(device)
        finally:
            unmount(mountpoint, lazy=True)
            os.close(device)


def _probe(device: int) -> Abilities:
    buffer = bytearray(1 << 17)
    request = protocol.Request(buffer, os.readv(device, [buffer]))
    _, offered = protocol.parse_init(request.body)
    wanted = offered.flags & (protocol.INIT_EXT | protocol.PASSTHROUGH)
    agreed = protocol.Initialisation(min(offered.minor, protocol.KERNEL_MINOR), wanted, offered.readahead, 1 << 16)
    os.write(device, protocol.init_reply(request.unique, agreed))
    through = bool(wanted & protocol.PASSTHROUGH) and can_pass_through(device)
    if through:
        how = "everything this kernel has is there"
    elif wanted & protocol.PASSTHROUGH:
        how = "passthrough needs root of the host; file data goes through the filesystem process"
    else:
        how = f"passthrough needs Linux {'.'.join(map(str, PASSTHROUGH_KERNEL))}; file data goes through the filesystem process"
    uring = bool(offered.flags & protocol.OVER_IO_URING)
    return Abilities(True, through, uring, bool(offered.flags & protocol.HAS_RESEND), how)


def open_backing(device: int, fd: int) -> int:
    """Hands the kernel a file for passthrough; returns its id. A mutable buffer: only then does `ioctl` return the number."""
    return int(fcntl.ioctl(device, protocol.BACKING_OPEN, bytearray(protocol.BACKING.pack(fd, 0, 0))))


def close_backing(device: int, backing: int) -> None:
    """Gives an id back; open files keep what they have."""
    fcntl.ioctl(device, protocol.BACKING_CLOSE, bytearray(struct.pack("<I", backing)))
