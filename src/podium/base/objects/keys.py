"""What may be a key of an object, and what may be said with it, the same for every implementation."""

from typing import Final

KEY_MAX_BYTES: Final = 900
"""Longest key in UTF-8; object stores of clusters allow 1,024 bytes, and a prefix may have to fit before it."""

PART_MAX_BYTES: Final = 200
"""Longest part between slashes; a file name may have 255 bytes, and a suffix must fit behind it."""

METADATA_MAX_BYTES: Final = 1200
"""Most bytes of all names and values of an object's metadata; object stores of clusters allow 2,048, with prefixes."""

RESERVED_SUFFIX: Final = ".object"
"""No part ends like this: on a file system it tells an object from a directory, so that `a` and `a/b` may both be there."""


def check_key(key: str) -> str:
    """`key` itself, when it is one.

    Raises:
        ValueError: it is empty, too long, has a control character, or an empty, `.`, `..`, too long or reserved part.
    """
    if not 0 < len(key.encode()) <= KEY_MAX_BYTES or not key.isprintable() or not all(map(_is_part, key.split("/"))):
        raise ValueError(f"{key[:80]!r} is no key of an object")
    return key


def check_metadata(metadata: dict[str, str] | None) -> dict[str, str]:
    """A copy of `metadata`, if every store can keep it.

    Raises:
        ValueError: a name is not made of lower-case ASCII letters, digits, `-` and `_`, or a value is empty, no
            printable ASCII or has spaces at its ends, or all together are too long.
    """
    checked = dict(metadata or {})
    for name, value in checked.items():
        plain = name.replace("-", "").replace("_", "")
        if not (plain.isascii() and plain.isalnum() and name == name.lower()):
            raise ValueError(f"{name!r} is no name of an object's metadata")
        if not (value and value.isascii() and value.isprintable() and value == value.strip()):
            raise ValueError(
                f"the metadata {name!r} of an object is no printable ASCII, or empty, or has spaces at its ends"
            )
    if sum(len(name) + len(value) for name, value in checked.items()) > METADATA_MAX_BYTES:
        raise ValueError(f"an object's metadata has more than {METADATA_MAX_BYTES} bytes")
    return checked


def _is_part(part: str) -> bool:
    return part not in ("", ".", "..") and len(part.encode()) <= PART_MAX_BYTES and not part.endswith(RESERVED_SUFFIX)
