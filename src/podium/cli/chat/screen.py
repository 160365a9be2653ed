"""Where a conversation appears: a terminal with a status line that comes and goes, or a plain stream of text."""

import shutil
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from podium.cli.chat.painter import CLEAR_LINE, painted
from podium.cli.chat.pieces import Look, Piece, shortened

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Screen:
    """Appends pieces. On a terminal, `status` shows one line below them until something is written."""

    def __init__(self, *, terminal: bool, colours: bool, out: TextIO | None = None) -> None:
        self.terminal = terminal
        self._colours = colours
        self._given = out
        self._at_start = True
        self._status = False
        self._frame = 0

    def write(self, pieces: Iterable[Piece]) -> None:
        """Appends `pieces`."""
        text = painted(pieces, colours=self._colours)
        if not text:
            return
        self._put((CLEAR_LINE if self._status else "") + text)
        self._status = False
        self._at_start = text.endswith(("\n", "\n\x1b[0m"))

    def note(self, text: str) -> None:
        """A faint line of our own."""
        self.write([*([] if self._at_start else [Piece("\n")]), Piece(text + "\n", Look.FAINT)])

    def status(self, text: str | None) -> None:
        """Shows, changes or (None) removes the status line; nothing in the middle of a line or without a terminal."""
        if not self.terminal or not self._at_start:
            return
        if text is None:
            if self._status:
                self._put(CLEAR_LINE)
            self._status = False
            return
        self._frame = (self._frame + 1) % len(SPINNER)
        width = shutil.get_terminal_size().columns - 4
        line = f"{SPINNER[self._frame]} {shortened(text, max(8, width))}"
        self._put(CLEAR_LINE + painted([Piece(line, Look.FAINT)], colours=self._colours))
        self._status = True

    def _put(self, text: str) -> None:
        # Looked up each time: while a line is edited, stdout is replaced by one that writes above it.
        out = self._given or sys.stdout
        out.write(text)
        out.flush()
