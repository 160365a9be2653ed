"""The content of one file that is noted but perhaps not recorded yet, and where its bytes are until then."""

import contextlib
import os
import stat
from pathlib import Path
from threading import Lock

from chronicle import reaching
from chronicle.recording.journal import Journal
from chronicle.recording.notes import InlineNote, WroteNote, decode


class Token:
    """One noted content.

    `size` is in bytes, as of the note. `done`: it is in the history, or never will be (excluded); nothing need be settled.
    `lock` is held while the bytes are read, and while they are settled: whoever changes them in place has settled before.
    `linked`: `pending/l{position}` is a further name of the file. `copied`: `pending/c{position}` is a copy.
    `inline`: position of a journal record with the content. `kept`: the content itself, when the disk took nothing.
    `found`: path to open when there is no descriptor (after a restart). `was_read`: read in the batch under way.
    `later`: a later note of the same file, made while this one was not settled: both speak of the same bytes, share `lock`, and
    settling the later one is enough.
    """

    __slots__ = (
        "copied",
        "done",
        "fd",
        "found",
        "inline",
        "kept",
        "later",
        "linked",
        "lock",
        "note",
        "position",
        "size",
        "was_read",
    )

    def __init__(self, note: WroteNote | None, position: int, fd: int = -1) -> None:
        self.note = note
        self.position = position
        self.size = note.size if note else 0
        self.fd = fd
        self.lock = Lock()
        self.done = note is None
        self.linked = False
        self.copied = False
        self.inline: int | None = None
        self.kept: bytes | None = None
        self.found: bytes | None = None
        self.later: Token | None = None
        self.was_read = False

    @property
    def settled(self) -> bool:
        """Whether the content is safe from changes in place."""
        return self.copied or self.inline is not None or self.kept is not None

    def source(self) -> "Token":
        """The token whose place the bytes are to be read from: a later one's when that one was settled or has the link."""
        token = self
        linked = self if self.linked or self.fd >= 0 else None
        while not token.settled and token.later is not None:
            token = token.later
            if linked is None and token.linked:
                linked = token
        return token if token.settled else linked or self

    def link_name(self) -> str:
        """Name in `pending/` of a further name of the file."""
        return f"l{self.position:x}"

    def copy_name(self) -> str:
        """Name in `pending/` of a copy."""
        return f"c{self.position:x}"

    def inline_content(self, journal: Journal) -> tuple[bytes, int]:
        """Content and modification time that were written into the journal.

        Raises:
            OSError: the record can't be read.
        """
        if self.inline is None:
            raise OSError("no content in the journal")
        record = decode(journal.read(self.inline))
        if not isinstance(record, InlineNote):
            raise OSError(f"record {self.inline} of the journal is no content")
        return record.content, record.mtime_ns

    def open_source(self, pending: Path, tree: bytes) -> tuple[int, bool]:
        """A descriptor to read the content from, and whether the caller has to close it.

        A copy is preferred, then the held descriptor, then a link, then the working file: that one only when it is still
        the same file.

        Raises:
            OSError: the content can't be reached any more.
        """
        if self.copied:
            return os.open(pending / self.copy_name(), os.O_RDONLY | os.O_CLOEXEC), True
        if self.fd >= 0:
            return self.fd, False
        if self.linked:
            return os.open(pending / self.link_name(), os.O_RDONLY | os.O_CLOEXEC), True
        if self.found is None or self.note is None:
            raise FileNotFoundError("the content is gone")
        return open_same(tree, self.found, self.note.inode), True

    def close(self) -> None:
        """Closes the held descriptor; again does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def clear(self, pending: Path) -> None:
        """Removes what stands in `pending/`; the content is recorded."""
        self.kept = None
        if self.linked:
            _remove(pending / self.link_name())
        if self.copied:
            _remove(pending / self.copy_name())


def open_same(tree: bytes, path: bytes, inode: int) -> int:
    """Opens the regular file at `path` of the tree when it is the one with this inode number.

    Inode alone decides: size and time of a file that was noted while it was open may have moved on, and recording then reads
    what is there, exactly as it does without a crash. A file that was closed is settled before it is changed, so that its
    content is found elsewhere.

    Raises:
        OSError: nothing is there, or something else.
    """
    fd = reaching.open_file(tree, path)
    seen = os.fstat(fd)
    if stat.S_ISREG(seen.st_mode) and seen.st_ino == inode:
        return fd
    os.close(fd)
    raise FileNotFoundError("another file is there now")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
