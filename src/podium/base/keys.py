"""API keys: how one is made, recognised and hashed.

`pod_{id}_{secret}` is a tenant key, `pod_admin_{id}_{secret}` an admin key. `id` is 12 characters of base 32 (60 bits): public, it
finds the record. `secret` is 32 characters (160 bits). Only the SHA-256 of the whole key is stored: a key is random, so there is
nothing a slow hash would protect from guessing, and every request is checked against it.
"""

import base64
import hashlib
import os
import re
from typing import Final, NamedTuple

ID_BYTES: Final = 10
"""Random bytes drawn for an id; the first `ID_CHARS` characters are used."""

ID_CHARS: Final = 12
SECRET_BYTES: Final = 20

_KEY = re.compile(r"pod_(?:admin_)?([a-z2-7]{12})_[a-z2-7]{32}")


class MadeKey(NamedTuple):
    """A new key: shown to its owner once, then only `key_id` and `key_hash` are kept."""

    key: str
    key_id: str
    key_hash: str


def make_key(*, admin: bool = False) -> MadeKey:
    """A fresh key from the system's randomness."""
    key_id = _base32(os.urandom(ID_BYTES))[:ID_CHARS]
    key = f"pod_{'admin_' if admin else ''}{key_id}_{_base32(os.urandom(SECRET_BYTES))}"
    return MadeKey(key, key_id, hash_key(key))


def hash_key(key: str) -> str:
    """What is stored of a key: 64 hex characters."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_id_of(key: str) -> str | None:
    """The public part of a key, None when `key` is not of our making (an admin key given by the operator need not be)."""
    match = _KEY.fullmatch(key)
    return match[1] if match else None


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").lower().rstrip("=")
