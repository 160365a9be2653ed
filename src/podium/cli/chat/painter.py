"""How pieces look on a terminal, and how they look where there is none."""

from collections.abc import Iterable, Mapping
from typing import Final

from podium.cli.chat.pieces import Look, Piece

_RESET: Final = "\x1b[0m"
CLEAR_LINE: Final = "\r\x1b[2K"

_CODES: Final[Mapping[Look, str]] = {
    Look.TEXT: "",
    Look.USER: "\x1b[1;36m",
    Look.FAINT: "\x1b[2m",
    Look.TOOL: "\x1b[1;34m",
    Look.GOOD: "\x1b[32m",
    Look.BAD: "\x1b[31m",
    Look.ASK: "\x1b[1;33m",
    Look.HEAD: "\x1b[36m",
}


def painted(pieces: Iterable[Piece], *, colours: bool) -> str:
    """The text of `pieces`, with colours when wanted. A colour never reaches over a newline."""
    if not colours:
        return "".join(piece.text for piece in pieces)
    return "".join(_coloured(piece) for piece in pieces)


def _coloured(piece: Piece) -> str:
    code = _CODES[piece.look]
    if not code:
        return piece.text
    lines = piece.text.split("\n")
    return "\n".join(f"{code}{line}{_RESET}" if line else "" for line in lines)
