"""What a conversation looks like, as values: pieces of text with a meaning, painted later."""

import re
from enum import Enum
from typing import Final, NamedTuple


class Look(Enum):
    """What a piece of text is; the painter decides how that looks."""

    TEXT = "text"
    USER = "user"
    FAINT = "faint"
    TOOL = "tool"
    GOOD = "good"
    BAD = "bad"
    ASK = "ask"
    HEAD = "head"


class Piece(NamedTuple):
    """Text to append; it may hold newlines and may end in the middle of a line."""

    text: str
    look: Look = Look.TEXT


_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|.)?", re.DOTALL
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """`text` without anything that could move the cursor, retitle the window or reverse the reading direction."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def shortened(text: str, width: int) -> str:
    """`text` in one line of at most `width` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def seconds(millis: int) -> str:
    """A duration as people read it: `35 ms`, `1.4 s`, `12 s`, `2 m 5 s`."""
    if millis < 1000:
        return f"{millis} ms"
    if millis < 10_000:
        return f"{millis / 1000:.1f} s"
    whole = millis // 1000
    return f"{whole} s" if whole < 60 else f"{whole // 60} m {whole % 60} s"


def count(number: int) -> str:
    """A count as people read it: `950`, `1.2k`, `3.4M`."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"
