"""Identities of Diminuendo's own. No randomness is drawn here."""

import base64
import re
from typing import Final

from podium.wire.ids import ENTROPY_BYTES

_SESSION_ID: Final = re.compile(r"sess-[a-z2-7]{16}")


def make_session_id(entropy: bytes) -> str:
    """The session id made from `podium.wire.ids.ENTROPY_BYTES` random bytes.

    Raises:
        ValueError: `entropy` has another length.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"an id takes {ENTROPY_BYTES} random bytes, got {len(entropy)}")
    return f"sess-{base64.b32encode(entropy).decode('ascii').lower()}"


def is_session_id(text: str) -> bool:
    """Whether `text` is an id `make_session_id` could have made. Only such a text becomes part of a path."""
    return _SESSION_ID.fullmatch(text) is not None
