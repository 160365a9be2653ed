"""A loopback file system on mfusepy: `with_mfusepy.py BACKING MOUNT`. Run by the virtual environment that has it."""

import os
import sys
from typing import Any

import mfusepy  # type: ignore[import-not-found]

SECONDS = 3600.0
_STAT = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino", "st_blocks", "st_blksize")
_STATVFS = (
    "f_bavail",
    "f_bfree",
    "f_blocks",
    "f_bsize",
    "f_favail",
    "f_ffree",
    "f_files",
    "f_flag",
    "f_frsize",
    "f_namemax",
)


class Loopback(mfusepy.Operations):  # type: ignore[misc]
    """Every call goes to the same path below `root`."""

    use_ns = True

    def __init__(self, root: str) -> None:
        self.root = root

    def init_with_config(self, _connection: Any, config: Any) -> None:
        if config is not None:
            config.entry_timeout = config.attr_timeout = config.negative_timeout = SECONDS
            config.kernel_cache = 1
            config.use_ino = 1

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        facts = os.lstat(self.root + path)
        times = {"st_atime": facts.st_atime_ns, "st_mtime": facts.st_mtime_ns, "st_ctime": facts.st_ctime_ns}
        return {**times, **{name: getattr(facts, name) for name in _STAT}}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self.root + path)]

    def readlink(self, path: str) -> str:
        return os.readlink(self.root + path)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self.root + path, mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(self.root + path)

    def unlink(self, path: str) -> None:
        os.unlink(self.root + path)

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, self.root + target)

    def rename(self, old: str, new: str, flags: int = 0) -> None:
        os.rename(self.root + old, self.root + new)

    def link(self, target: str, source: str) -> None:
        os.link(self.root + source, self.root + target)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self.root + path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.lchown(self.root + path, uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self.root + path, ns=times, follow_symlinks=False) if times else os.utime(self.root + path)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(fh or self.root + path, length)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self.root + path, os.O_RDWR | os.O_CREAT, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self.root + path, flags)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        os.fsync(fh)

    def statfs(self, path: str) -> dict[str, int]:
        facts = os.statvfs(self.root + path)
        return {name: getattr(facts, name) for name in _STATVFS}


if __name__ == "__main__":
    mfusepy.FUSE(
        Loopback(os.path.abspath(sys.argv[1])), sys.argv[2], foreground=True, nothreads=True, allow_other=True, default_permissions=True,
        entry_timeout=SECONDS, attr_timeout=SECONDS, negative_timeout=SECONDS, kernel_cache=True,
    )  # fmt: skip
