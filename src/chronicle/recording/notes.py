"""What stands in the journal, as values, and how it is written: MessagePack arrays, the first element says which kind."""

from typing import Final

import msgspec

from chronicle.model.changes import Change


class ChangeNote(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A change without content. `turn` is whose doing it was, as far as the change itself doesn't say."""

    change: Change
    turn: str | None


class WroteNote(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The regular file at `path` has new content. `inode`, `size` (bytes) and `mtime_ns` are the file's when this was noted.

    The position of this record names the content: `InlineNote.of`, and the files in `pending/`.
    """

    path: bytes
    at: int
    mode: int
    mtime_ns: int
    inode: int
    size: int
    turn: str | None


class InlineNote(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The content that the `WroteNote` at position `of` speaks of, written down before it was changed in place."""

    of: int
    content: bytes
    mtime_ns: int


class CheckpointNote(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A named moment: everything noted before it, and nothing noted after it."""

    at: int
    label: str | None
    turn: str | None


class RescanNote(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """What is at and below `path` is to be compared with the history: it became part of it, or left it, by a rename over the border of
    the excluded, or changed while nobody looked. Files whose inode changed at `since` (milliseconds since 1970) or later are read
    whatever their size and time say; None: only where those differ.
    """

    path: bytes
    at: int
    turn: str | None
    since: int | None = None


Note = ChangeNote | WroteNote | InlineNote | CheckpointNote | RescanNote

encode: Final = msgspec.msgpack.Encoder().encode
"""A note as bytes."""

decode: Final = msgspec.msgpack.Decoder(Note).decode
"""Bytes as a note. Raises `msgspec.DecodeError`."""
