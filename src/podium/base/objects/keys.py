"""What a key may look like, the same for every implementation."""

from typing import Final

KEY_MAX_CHARS: Final = 512


def check_key(key: str) -> str:
    """`key` itself, when it is one.

    Raises:
        ValueError: it is empty, too long, or has an empty, `.` or `..` part or a NUL.
    """
    parts = key.split("/")
    if not 0 < len(key) <= KEY_MAX_CHARS or "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{key[:80]!r} is no key of an object")
    return key
