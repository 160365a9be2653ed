"""A change of one path, as a backend saw it: ordered, not yet numbered. Recording makes iterations of changes."""

from typing import Final, Literal

import msgspec

ChangeKind = Literal[
    "write", "mkdir", "symlink", "special", "link", "delete", "rename", "exchange", "attributes", "xattr"
]
"""What happened.

- `write`: a regular file has the content `digest`, `size`; the history decides whether that creates or modifies it,
  or is no change at all (the bytes equal the newest version's).
- `mkdir`, `symlink` (to `target`), `special` (fifo, socket, device: `mode` says which): something new is at `path`.
- `link`: `path` is a further name of the file at `source`.
- `delete`: nothing is at `path` any more (a file, a link, an empty directory).
- `rename`: what was at `source` is at `path`, replacing what was there.
- `exchange`: what was at `source` is at `path` and the other way round (two iterations).
- `attributes`: permission bits are `mode` now.
- `xattr`: extended attributes are `xattrs` now (all of them).
"""

REGULAR: Final = 0o100000
DIRECTORY: Final = 0o040000
SYMLINK: Final = 0o120000
TYPE_MASK: Final = 0o170000
"""`stat(2)`: the type bits of a mode. Modes in Chronicle carry type and permission bits, as `st_mode` does."""


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change. Paths are bytes relative to the workspace, without a leading or trailing slash; the root is `b""`.

    `at` is in milliseconds since 1970 (UTC), `mode` as `st_mode`, `mtime_ns` the modification time in nanoseconds.
    `turn_id` is whose doing it was, when that is known.
    """

    kind: ChangeKind
    path: bytes
    at: int
    mode: int = 0
    mtime_ns: int = 0
    source: bytes | None = None
    size: int = 0
    digest: bytes | None = None
    target: bytes | None = None
    xattrs: dict[bytes, bytes] | None = None
    turn_id: str | None = None
