"""Identities: how each is written, made from given randomness, and recognised. No randomness is drawn here."""

import base64
import re
from typing import Final, Literal

ENTROPY_BYTES: Final = 10
"""Random bytes behind an id: 80 bits, written as 16 base-32 characters."""

Kind = Literal["agt", "inst", "turn", "msg", "req", "key", "call", "term", "conn"]
"""Prefixes in use: agent, instance, turn, message, request (question or permission), key, tool call, terminal, connection."""

_AGENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AGENT_TYPE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_BODY = r"[a-z2-7]{16}"
_MADE = {kind: re.compile(f"{kind}-{_BODY}") for kind in ("inst", "turn", "msg", "req", "key")}
_TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def make_id(kind: Kind, entropy: bytes) -> str:
    """The id of `kind` made from `ENTROPY_BYTES` random bytes: prefix, dash, 16 lowercase base-32 characters.

    Raises:
        ValueError: `entropy` has another length.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"an id takes {ENTROPY_BYTES} random bytes, got {len(entropy)}")
    return f"{kind}-{base64.b32encode(entropy).decode('ascii').lower()}"


def is_agent_id(text: str) -> bool:
    """Whether `text` may name an agent (given by a caller or made by us)."""
    return _AGENT_ID.fullmatch(text) is not None


def is_agent_type(text: str) -> bool:
    """Whether `text` may name an agent type."""
    return _AGENT_TYPE.fullmatch(text) is not None


def is_tenant_id(text: str) -> bool:
    """Whether `text` may name a tenant."""
    return _TENANT_ID.fullmatch(text) is not None


def is_made_id(kind: Literal["inst", "turn", "msg", "req", "key"], text: str) -> bool:
    """Whether `text` is an id that `make_id` could have made for `kind`."""
    return _MADE[kind].fullmatch(text) is not None
