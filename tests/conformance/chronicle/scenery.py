"""What a path can be when a system call meets it, and what a directory looks like afterwards.

Conformance is differential: the same call meets the same scene on the host's own file system and on the mount, and must
answer the same and leave the same behind. `Scene` makes the states, `snapshot` describes a tree without what may differ
(inode numbers, change times).
"""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

OWNER = 64_001
OTHER = 64_002
"""Two ordinary users (uid = gid); only root can play them."""

LONG_AGO_NS = 1_000_000_000 * 1_000_000_000
"""Times of everything in a scene before the call, so that what the call stamps is seen (2001-09-09)."""

PRESENT = "now"


def _file(path: bytes, mode: int = 0o644, content: bytes = b"content") -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def _directory(path: bytes, mode: int = 0o755) -> None:
    os.mkdir(path)
    os.chmod(path, mode)


def _full_directory(path: bytes) -> None:
    os.mkdir(path)
    _file(path + b"/inside")


def _sealed_directory(path: bytes) -> None:
    _full_directory(path)
    os.chmod(path, 0o000)


def _socket(path: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(".", os.O_RDONLY)
        os.chdir(os.path.dirname(path))
        listener.bind(os.path.basename(path))
        os.fchdir(here)
        os.close(here)


def _linked(path: bytes) -> None:
    _file(path)
    os.link(path, path + b".twin")


def _link_to_file(path: bytes) -> None:
    _file(path + b".target")
    os.symlink(b"name.target", path)


def _link_to_directory(path: bytes) -> None:
    _full_directory(path + b".target")
    os.symlink(b"name.target", path)


def _below(mode: int, file_mode: int = 0o644) -> Callable[[bytes], None]:
    """A file in a directory that has this mode afterwards."""

    def make(path: bytes) -> None:
        directory = os.path.dirname(path)
        _directory(directory)
        _file(path, file_mode)
        os.chmod(directory, mode)

    return make


STATES: dict[str, tuple[bytes, Callable[[bytes], None] | None]] = {
    "missing": (b"name", None),
    "file": (b"name", _file),
    "empty file": (b"name", lambda path: _file(path, content=b"")),
    "read-only file": (b"name", lambda path: _file(path, 0o444)),
    "secret file": (b"name", lambda path: _file(path, 0o000)),
    "set-id file": (b"name", lambda path: _file(path, 0o6755)),
    "linked file": (b"name", _linked),
    "directory": (b"name", _directory),
    "full directory": (b"name", _full_directory),
    "sealed directory": (b"name", _sealed_directory),
    "sticky directory": (b"name", lambda path: _directory(path, 0o1777)),
    "set-gid directory": (b"name", lambda path: _directory(path, 0o2775)),
    "link to a file": (b"name", _link_to_file),
    "link to a directory": (b"name", _link_to_directory),
    "dangling link": (b"name", lambda path: os.symlink(b"nowhere", path)),
    "link to itself": (b"name", lambda path: os.symlink(b"name", path)),
    "fifo": (b"name", lambda path: os.mkfifo(path, 0o644)),
    "socket": (b"name", _socket),
    "longest name": (b"n" * 255, _file),
    "name too long": (b"n" * 256, None),
    "odd name": (b"\xff\xfe new\nline\x01'\"", _file),
    "below a file": (b"file/name", lambda path: _file(os.path.dirname(path))),
    "below nothing": (b"nowhere/name", None),
    "file with a slash": (b"name/", lambda path: _file(path.rstrip(b"/"))),
    "directory with a slash": (b"name/", lambda path: _full_directory(path.rstrip(b"/"))),
    "missing with a slash": (b"name/", None),
    "dot": (b".", None),
    "dot dot": (b"sub/..", lambda path: _directory(os.path.dirname(path))),
    "empty": (b"", None),
    "unsearchable": (b"dark/name", _below(0o600)),
    "unwritable": (b"fixed/name", _below(0o555)),
    "foreign in sticky": (b"common/name", _below(0o1777, 0o666)),
}
"""By name: the path handed to the call (relative to the scene), and what makes it."""


class Scene:
    """A fresh directory holding one or two paths in given states, owned by `OWNER` (as root) and stamped long ago."""

    def __init__(self, root: Path, *states: str) -> None:
        self.root = os.fsencode(root)
        self.names: list[bytes] = []
        os.mkdir(self.root, 0o777)
        os.chmod(self.root, 0o777)
        for index, state in enumerate(states):
            relative, make = STATES[state]
            corner = b"%c" % (ord("a") + index) if len(states) > 1 else b""
            if corner:
                os.mkdir(self.root + b"/" + corner)
                os.chmod(self.root + b"/" + corner, 0o777)
            path = b"/".join(part for part in (corner, relative) if part) if relative else relative
            if make is not None:
                make(self.root + b"/" + path)
            self.names.append(path)
        if os.geteuid() == 0:
            _give(self.root, OWNER)
        _stamp(self.root)


def _all_below(root: bytes) -> list[bytes]:
    found = [root]
    for parent, directories, files in os.walk(root, topdown=False):
        found.extend(os.path.join(parent, name) for name in (*directories, *files))
    return found


def _give(root: bytes, owner: int) -> None:
    for path in _all_below(root):
        mode = os.lstat(path).st_mode
        os.lchown(path, owner, owner)
        if not stat.S_ISLNK(mode):
            os.chmod(path, stat.S_IMODE(mode))  # chown takes set-id bits away


def _stamp(root: bytes) -> None:
    for path in reversed(_all_below(root)[1:]):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS), follow_symlinks=False)
    os.utime(root, ns=(LONG_AGO_NS, LONG_AGO_NS))


def snapshot(root: Path | bytes, *, times: bool = True) -> dict[str, object]:
    """Everything below a directory that a user could tell apart, by path."""
    top = os.fsencode(root)
    shown: dict[str, object] = {}
    for path in sorted(_all_below(top)):
        shown[os.fsdecode(path[len(top) :]) or "/"] = _described(path, times=times)
    return shown


def _described(path: bytes, *, times: bool) -> tuple[object, ...]:
    facts = os.lstat(path)
    kind = stat.S_IFMT(facts.st_mode)
    what: object = None
    if kind == stat.S_IFREG:
        with open(path, "rb") as file:
            what = file.read()
    elif kind == stat.S_IFLNK:
        what = os.readlink(path)
    links = facts.st_nlink
    size = facts.st_size if kind != stat.S_IFDIR else None
    seen = ("old" if facts.st_mtime_ns == LONG_AGO_NS else PRESENT) if times else None
    return oct(facts.st_mode), links if kind != stat.S_IFDIR else None, facts.st_uid, facts.st_gid, size, what, seen
