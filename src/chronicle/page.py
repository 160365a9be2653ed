"""The page: 4 KiB of memory that who serves a workspace shares with who uses it, so that a turn that touches no file costs no request.

Format, 64-bit words in the machine's order:

```
0   format mark
1   generation: grows by one with each process that begins to serve
2   1 while the words below are kept, else 0
3   recorded: as many notes as are in the history when everything noted is
4   closed: files opened for writing that were closed, and what they held noted
5   head: the newest iteration
6   noted: notes taken
7   opened: files opened for writing
32  number of the turn: grows by two with each turn that is written, odd while it is being written
33  length of its id plus one; 0: nobody's turn
34  the id, up to 200 bytes
```

Words 0 to 7 are written by who serves, the others by who uses it. Words 3, 4, 6, 7 only grow, and no word of 3 and 4 passes its
fellow in 6 and 7. So who reads `recorded` and `closed` first, `noted` and `opened` after, and finds them equal, knows of a moment
between the two when nothing was to be noted and all that was noted was recorded. A request of the kernel is answered after it was
counted; the close of a file is counted after what it held was noted. A process that died leaves a page that is as true as ever:
nothing is answered any more, until another process has marked it as its own.

This needs stores to be seen in the order in which they were made, which x86-64 promises (Intel SDM 3A, 9.2.2) and others do not:
elsewhere there is no page, and requests are made.
"""

import contextlib
import mmap
import os
import platform
import sys
from pathlib import Path
from typing import Final

PAGE_BYTES: Final = 4096
TURN_BYTES: Final = 200
"""Longest id of a turn that the page takes; a longer one goes by request."""

_MARK: Final = 0x3167_7063_6E6F_7263
_FORMAT, _GENERATION, _VALID, _RECORDED, _CLOSED, _HEAD, _NOTED, _OPENED = range(8)
_TURN, _LENGTH = 32, 33
_ID: Final = 34 * 8
_TRIES: Final = 16
"""How often a turn that is being written is looked at before the one before stays in force, until the next note."""

ORDERED: Final = platform.machine() in ("x86_64", "AMD64")
"""Whether this machine shows stores in the order in which they were made."""


class Page:
    """The page of one workspace, on either side. Each word has one writer at a time, who holds a lock or is one thread."""

    def __init__(self, memory: mmap.mmap) -> None:
        """Use `make` or `find`."""
        self._memory = memory
        self._words = memoryview(memory).cast("Q")
        self.generation: int = self._words[_GENERATION]

    @classmethod
    def make(cls, path: Path) -> "Page | None":
        """The page of a process that begins to serve: nothing is promised yet, nor by an earlier one any more.

        None when the machine or the disk won't have it. The file of an earlier process is used again, for who mapped it has to see that
        its time is over; that needs no room on the disk.
        """
        if not ORDERED:
            return None
        try:
            page = cls(_mapped(path, os.O_RDWR | os.O_CREAT))
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        words = page._words
        words[_VALID] = 0
        words[_GENERATION] = page.generation = words[_GENERATION] + 1
        words[_FORMAT] = _MARK
        words[_HEAD] = words[_RECORDED] = words[_CLOSED] = words[_OPENED] = 0
        words[_NOTED] = 1  # something is not recorded until the recorder says otherwise
        return page

    @classmethod
    def find(cls, path: Path) -> "Page | None":
        """The page of who serves now, for who uses the workspace; None when there is none."""
        if not ORDERED:
            return None
        try:
            page = cls(_mapped(path, os.O_RDWR))
        except OSError:
            return None
        if page._words[_FORMAT] == _MARK and page._words[_VALID]:
            return page
        page.close()
        return None

    def close(self) -> None:
        """Gives the memory back."""
        self._words.release()
        self._memory.close()

    # Who serves.

    def begin(self) -> None:
        """From now on everything is counted."""
        self._words[_VALID] = 1

    def end(self) -> None:
        """From now on it may not be."""
        self._words[_VALID] = 0

    def noted(self) -> None:
        """A note is taken; called before what noted it is answered."""
        self._words[_NOTED] += 1

    def recorded(self, head: int) -> None:
        """Everything that is noted is in the history, whose head is `head`; nobody may note meanwhile."""
        words = self._words
        words[_HEAD] = head
        words[_RECORDED] = words[_NOTED]

    def opened(self) -> None:
        """A file is opened for writing."""
        self._words[_OPENED] += 1

    def closed(self) -> None:
        """One of those is closed, and what it held noted."""
        self._words[_CLOSED] += 1

    @property
    def turn_number(self) -> int:
        """Another one than before: there is another turn to read."""
        return self._words[_TURN]

    def turn(self) -> tuple[int, str | None] | None:
        """Number and id of the turn that changes belong to; None while it is being written."""
        words, memory = self._words, self._memory
        for _ in range(_TRIES):
            number = words[_TURN]
            length = words[_LENGTH]
            raw = memory[_ID : _ID + TURN_BYTES]
            if not number & 1 and words[_TURN] == number:
                return number, raw[: length - 1].decode(errors="replace") if length else None
        return None

    # Who uses it.

    @property
    def _kept(self) -> bool:
        return bool(self._words[_VALID]) and self._words[_GENERATION] == self.generation

    def quiet(self) -> int | None:
        """The newest iteration, when a barrier would find nothing to do now; None: ask."""
        words = self._words
        recorded = words[_RECORDED]
        closed = words[_CLOSED]
        head = words[_HEAD]
        if words[_NOTED] != recorded or words[_OPENED] != closed or not self._kept:
            return None
        return head

    def begin_turn(self, turn_id: str | None) -> bool:
        """Changes noted from now on are this turn's; False: ask, for an open file may hold what was another's, or it is too long."""
        raw = b"" if turn_id is None else turn_id.encode(errors="surrogatepass")
        words = self._words
        closed = words[_CLOSED]
        if len(raw) > TURN_BYTES or words[_OPENED] != closed or not self._kept:
            return False
        number = words[_TURN] | 1  # who wrote before may have been cut off
        words[_TURN] = number
        words[_LENGTH] = 0 if turn_id is None else len(raw) + 1
        self._memory[_ID : _ID + len(raw)] = raw
        words[_TURN] = number + 1
        return self._kept


def _mapped(path: Path, flags: int) -> mmap.mmap:
    """Raises OSError. A file that is too short is not mapped: touching what is not there would be the end of the process."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if flags & os.O_CREAT:
            os.posix_fallocate(fd, 0, PAGE_BYTES)
        elif os.fstat(fd).st_size < PAGE_BYTES:
            raise OSError("the page is not whole")
        if sys.version_info >= (3, 13):  # a workspace in use costs no descriptor
            return mmap.mmap(fd, PAGE_BYTES, trackfd=False)
        return mmap.mmap(fd, PAGE_BYTES)
    finally:
        os.close(fd)
