"""What the history tells: iterations, versions, entries of a directory, checkpoints, differences."""

from typing import Literal

import msgspec

Kind = Literal[
    "create", "modify", "delete", "rename", "exchange", "chmod", "mkdir", "symlink", "link", "special", "xattr"
]
"""What an iteration did to its path. `create` and `modify` are of regular files."""

EntryType = Literal["file", "directory", "symlink", "special"]


class Iteration(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recorded change of one path. `iteration` counts over the workspace, from 1, without gaps.

    `path` is as of that moment. `timestamp` is in milliseconds. `size` in bytes, `hash` the BLAKE3 of the content in hex;
    both are None where the path holds no content (deletions, directories, special files). `mode` as `st_mode`, None for
    deletions. `from_` (`from` in JSON) is the earlier path of a rename, link or exchange.
    """

    iteration: int
    path: bytes
    kind: Kind
    timestamp: int
    size: int | None = None
    hash: str | None = None
    mode: int | None = None
    from_: bytes | None = msgspec.field(default=None, name="from")
    turn_id: str | None = None


class Version(msgspec.Struct, frozen=True):
    """What was at a path at some moment: attributes of a node as of its newest iteration then.

    `node` identifies the file or directory through renames. `iteration` made this version. `size`, `digest` are of content
    (regular files), `target` of a symlink, `xattrs` the extended attributes (None: none).
    """

    node: int
    iteration: int
    mode: int
    mtime_ns: int
    size: int
    digest: bytes | None
    target: bytes | None
    xattrs: dict[bytes, bytes] | None

    @property
    def type(self) -> EntryType:
        """File, directory, symlink or special."""
        return entry_type(self.mode)


class Entry(msgspec.Struct, frozen=True):
    """One name of a directory with what it holds."""

    name: bytes
    path: bytes
    version: Version


class Checkpoint(msgspec.Struct, frozen=True):
    """A named moment. `label` is for people, `turn_id` is the turn that ended there; either may be missing."""

    iteration: int
    timestamp: int
    label: str | None = None
    turn_id: str | None = None


class Difference(msgspec.Struct, frozen=True):
    """One path that differs between two moments; `before` None: it came into being, `after` None: it is gone."""

    path: bytes
    before: Version | None
    after: Version | None


def entry_type(mode: int) -> EntryType:
    """The type of a mode's type bits (`stat(2)`)."""
    match mode & 0o170000:
        case 0o100000:
            return "file"
        case 0o040000:
            return "directory"
        case 0o120000:
            return "symlink"
        case _:
            return "special"
