"""Bodies of the file and workspace routes. Times are epoch milliseconds, sizes bytes, hashes BLAKE3 in hex.

Names are text. Linux allows any bytes; a name that is no UTF-8 is shown with U+FFFD in place of what can't be shown, and its
`raw` has the path's bytes in base64. Such a file is reached by percent-encoding its bytes.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from podium.wire.limits import PAGE_DEFAULT
from podium.wire.rest import PageLimit

DEPTH_MAX: Final = 16
"""Deepest listing."""

JSON_CONTENT_MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest file that is answered as JSON; larger ones are read as bytes, which has no limit."""

FILE_MAX_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Largest file that can be written over REST. The workspace's own limit (`limits.disk`) is usually less."""

ITERATION_HEADER: Final = "podium-iteration"
"""Response header with the iteration of the version that is answered with."""

Moment = Annotated[int, Meta(ge=0, le=2**53 - 1, description="The number of an iteration; 0 is before everything")]
Label = Annotated[str, Meta(min_length=1, max_length=200)]
FilePath = Annotated[str, Meta(max_length=4096, description="Path in the workspace, relative to it")]
Cursor = Annotated[str, Meta(max_length=8192, description="`next_cursor` of the page before")]
FileType = Literal["file", "directory", "symlink", "special"]
FileKind = Literal[
    "create", "modify", "delete", "rename", "exchange", "chmod", "mkdir", "symlink", "link", "special", "xattr"
]


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a directory. `mode` has permission bits; `iteration` made this version of it."""

    name: str
    path: str
    type: FileType
    size: int
    mode: int
    mtime: int
    iteration: int
    target: str | None = None
    raw: str | None = None


class FileListing(msgspec.Struct, frozen=True):
    """What is below `path` at the moment `iteration`, parents before what they hold; `next_cursor` is null at the end."""

    path: str
    iteration: int
    entries: list[FileEntry]
    next_cursor: str | None = None


class FileContent(msgspec.Struct, frozen=True):
    """A file as it was when `iteration` made it. `content` is text, or base64 when `encoding` says so."""

    path: str
    content: str
    encoding: Literal["utf-8", "base64"]
    size: int
    hash: str
    iteration: int


class FileIteration(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recorded change of one path. `size` and `hash` are absent where the path holds no content, `from` but for renames,
    `turn_id` when it was nobody's turn."""

    iteration: int
    path: str
    kind: FileKind
    timestamp: int
    size: int | None = None
    hash: str | None = None
    mode: int | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    turn_id: str | None = None
    raw: str | None = None


class FileHistory(msgspec.Struct, frozen=True):
    """The changes of one path, newest first, through renames; `next_cursor` is null at the end."""

    path: str
    iterations: list[FileIteration]
    next_cursor: str | None = None


class FileWritten(msgspec.Struct, frozen=True):
    """A file is written. Bytes equal to what was there make no new iteration: then it is the one that made them."""

    path: str
    iteration: int
    size: int
    hash: str


class FileRemoved(msgspec.Struct, frozen=True):
    """What was at `path` is gone since `iteration` (a directory goes with all it holds, each an iteration)."""

    path: str
    iteration: int


class WorkspaceChanges(msgspec.Struct, frozen=True):
    """Changes of the whole workspace after `after`, oldest first; `head` is the newest there is."""

    iterations: list[FileIteration]
    head: int
    next_cursor: str | None = None


class FileVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was at a path at one of two moments."""

    type: FileType
    iteration: int
    size: int
    mode: int
    hash: str | None = None
    target: str | None = None


class FileDifference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One path that differs between two moments; `before` is null when it came into being, `after` when it is gone."""

    path: str
    kind: Literal["created", "modified", "deleted"]
    before: FileVersion | None
    after: FileVersion | None
    raw: str | None = None


class WorkspaceDiff(msgspec.Struct, frozen=True):
    """What differs between the moments `from` and `to`, by path; `next_cursor` is null at the end, and only there."""

    from_: int = msgspec.field(name="from")
    to: int
    differences: list[FileDifference]
    next_cursor: str | None = None


class RestoreRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take the workspace, or what is at `path`, back to a moment. It is recorded itself, and can so be undone."""

    iteration: Moment
    path: FilePath | None = None


class Restored(msgspec.Struct, frozen=True):
    """The newest iteration after a restore."""

    iteration: int


class CheckpointList(msgspec.Struct, frozen=True):
    """Named moments, newest first."""

    checkpoints: list["WorkspaceCheckpoint"]


class CheckpointRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name the moment that is now."""

    label: Label


class WorkspaceCheckpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named moment: by a person (`label`), or the end of a turn (`turn_id`)."""

    iteration: int
    timestamp: int
    label: str | None = None
    turn_id: str | None = None


# ── query parameters ─────────────────────────────────────────────────────────────────────────────────────────


class ListingQuery(msgspec.Struct, frozen=True):
    """Which directory, how deep, at which moment (now)."""

    path: FilePath = ""
    depth: Annotated[int, Meta(ge=1, le=DEPTH_MAX)] = 1
    at: Moment | None = None
    limit: PageLimit = PAGE_DEFAULT
    cursor: Cursor | None = None


class HistoryQuery(msgspec.Struct, frozen=True):
    """A page of a path's history."""

    limit: PageLimit = PAGE_DEFAULT
    cursor: Cursor | None = None


class ChangesQuery(msgspec.Struct, frozen=True):
    """Changes behind iteration `after`, at or below `path`. `cursor` is a page's `next_cursor` and wins."""

    after: Moment = 0
    path: FilePath = ""
    limit: PageLimit = PAGE_DEFAULT
    cursor: Cursor | None = None


class DiffQuery(msgspec.Struct, frozen=True):
    """Two moments (`to`: now when absent), at or below `path`. `cursor` is a page's `next_cursor`; its moments win."""

    from_: Moment = msgspec.field(name="from")
    to: Moment | None = None
    path: FilePath = ""
    limit: PageLimit = PAGE_DEFAULT
    cursor: Cursor | None = None


class CheckpointsQuery(msgspec.Struct, frozen=True):
    """The newest named moments."""

    limit: PageLimit = PAGE_DEFAULT


class ArchiveQuery(msgspec.Struct, frozen=True):
    """Which moment (now), which directory."""

    at: Moment | None = None
    path: FilePath = ""
