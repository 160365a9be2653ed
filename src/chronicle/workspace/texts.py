"""Differences as text: the unified diff that people read and `git apply` takes."""

import difflib
import os
from collections.abc import Callable, Iterator
from typing import Final

from chronicle.model.iterations import Difference, Version

TEXT_BYTES: Final = 1024 * 1024
"""Larger contents are not compared line by line: it takes seconds, and nobody reads it."""

_NOTHING: Final = "/dev/null"


def unified(difference: Difference, read: Callable[[Version], bytes]) -> str:
    """One path's difference in git's form, ending in a newline; `read` gives the content of a regular file."""
    name = _quoted(difference.path)
    before, after = difference.before, difference.after
    head = [f"diff --git {_side('a/', name)} {_side('b/', name)}", *_modes(before, after)]
    old, new = _content(before, read), _content(after, read)
    if old is None or new is None:
        return "\n".join(head) + "\n"
    if old == new and before is not None and after is not None:
        return "\n".join(head) + "\n"
    from_name = _NOTHING if before is None else _side("a/", name)
    to_name = _NOTHING if after is None else _side("b/", name)
    first, second = _lines(old), _lines(new)
    if first is None or second is None:
        head.append(f"Binary files {from_name} and {to_name} differ")
        return "\n".join(head) + "\n"
    body = difflib.unified_diff(first, second, from_name, to_name, n=3)
    return "\n".join(head) + "\n" + "".join(_ended(body))


def _modes(before: Version | None, after: Version | None) -> Iterator[str]:
    if before is None and after is not None:
        yield f"new file mode {after.mode:06o}"
    elif after is None and before is not None:
        yield f"deleted file mode {before.mode:06o}"
    elif before is not None and after is not None and before.mode != after.mode:
        yield f"old mode {before.mode:06o}"
        yield f"new mode {after.mode:06o}"


def _content(version: Version | None, read: Callable[[Version], bytes]) -> bytes | None:
    """What is compared: the content of a file, the target of a link; None for what has neither (directories, devices)."""
    if version is None:
        return b""
    if version.type == "symlink":
        return version.target or b""
    if version.type != "file":
        return None
    return read(version) if version.size <= TEXT_BYTES else b"\0%d %s" % (version.size, version.digest or b"")


def _lines(content: bytes) -> list[str] | None:
    """The lines with their ends, None when it is no text."""
    if b"\0" in content:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _quoted(path: bytes) -> str:
    """The path as git quotes it: C-style when it has control characters, quotes, backslashes or bytes that are no text."""
    text = os.fsdecode(path)
    if text.isprintable() and not any(mark in text for mark in '"\\') and text.isascii():
        return text
    escaped = "".join(
        {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x09: "\\t"}.get(byte)
        or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}")
        for byte in path
    )
    return f'"{escaped}"'


def _side(prefix: str, name: str) -> str:
    return f'"{prefix}{name[1:]}' if name.startswith('"') else prefix + name
