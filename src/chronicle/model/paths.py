"""Which bytes name something in a workspace. POSIX: a name is any bytes but `/` and NUL, at most 255 of them."""

from typing import Final

from chronicle.model.errors import InvalidPathError

NAME_BYTES: Final = 255
"""Longest name, in bytes (`NAME_MAX` of Linux file systems)."""

PATH_BYTES: Final = 4096
"""Longest path, in bytes (`PATH_MAX`)."""

MAGIC: Final = b".chronicle"
"""The directory at a workspace's root that the mount answers for; nothing of this name is ever recorded."""

BESIDE: Final = b".chronicle-new-"
"""How the names begin that restoring and importing give a file in its directory until they rename it into place; random digits follow.
Nothing of such a name is ever recorded, wherever it is.
"""


def workspace_path(path: str | bytes) -> bytes:
    """The path as the history has it: relative bytes without `.` components and outer slashes; the root is `b""`.

    Raises:
        InvalidPathError: absolute, with `..`, NUL, too long, or within `.chronicle`.
    """
    raw = path.encode(errors="surrogateescape") if isinstance(path, str) else path
    if raw.startswith(b"/"):
        raise InvalidPathError(path, "it is absolute; name it relative to the workspace")
    if b"\0" in raw:
        raise InvalidPathError(path, "it holds a NUL byte")
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise InvalidPathError(path, "`..` could leave the workspace")
    if any(len(part) > NAME_BYTES for part in parts):
        raise InvalidPathError(path, f"a name may have at most {NAME_BYTES} bytes")
    whole = b"/".join(parts)
    if len(whole) > PATH_BYTES:
        raise InvalidPathError(path, f"a path may have at most {PATH_BYTES} bytes")
    if parts and parts[0] == MAGIC:
        raise InvalidPathError(path, f"{MAGIC.decode()} is Chronicle's own")
    return whole


def parent_of(path: bytes) -> bytes:
    """The directory a path lies in; the root's is the root."""
    return path.rpartition(b"/")[0]


def name_of(path: bytes) -> bytes:
    """The last component; empty for the root."""
    return path.rpartition(b"/")[2]


def joined(directory: bytes, name: bytes) -> bytes:
    """The path of a name in a directory."""
    return directory + b"/" + name if directory else name


def is_beside(path: bytes) -> bool:
    """Whether the path, or a directory above it, has a name that begins with `BESIDE`."""
    return BESIDE in path and (path.startswith(BESIDE) or b"/" + BESIDE in path)


def is_within(path: bytes, directory: bytes) -> bool:
    """Whether the path is the directory or lies below it."""
    return not directory or path == directory or path.startswith(directory + b"/")
