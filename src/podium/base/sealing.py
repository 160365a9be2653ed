"""Secrets at rest: sealed with AES-256-GCM under a key derived from `SECRETS_KEY`, bound to what they belong to.

A box is base64 of: one byte format (1), four bytes key id, twelve bytes nonce, ciphertext with its tag. The key is HKDF-SHA-256 of the
configured text with the label below; the key id is the first four bytes of SHA-256 over the derived key, so that a box tells
which key it needs without trying. The context (tenant, agent type, name) is the associated data, each part with its
length before it, so that a box moved to another name does not open.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Final, Protocol

TEXT_MIN_CHARS: Final = 16
"""Shortest text accepted as a key."""

_FORMAT: Final = b"\x01"
_LABEL: Final = b"podium secrets 1"
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12


class SealingError(Exception):
    """A box can't be opened: another key, another context, or damage. The message says which, never what is inside."""


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class Sealer:
    """Seals under the current key, opens under the current and the previous one.

    Raises:
        ValueError: a key text is shorter than `TEXT_MIN_CHARS`.
    """

    def __init__(self, key: str, previous: str | None = None) -> None:
        texts = [key, *([previous] if previous else [])]
        for text in texts:
            if len(text) < TEXT_MIN_CHARS:
                raise ValueError(f"a secrets key needs at least {TEXT_MIN_CHARS} characters")
        derived = [_derive(text) for text in texts]
        self._current = _key_id(derived[0])
        self._derived = {_key_id(each): each for each in derived}
        self._ciphers: dict[bytes, _Cipher] = {}

    def seal(self, plaintext: str, context: Sequence[str]) -> str:
        """A box with `plaintext` in it, which opens only with the same `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(self._current).encrypt(nonce, plaintext.encode(), _bound(context))
        return base64.b64encode(_FORMAT + self._current + nonce + sealed).decode("ascii")

    def open(self, box: str, context: Sequence[str]) -> str:
        """What is in the box.

        Raises:
            SealingError: it does not open.
        """
        from cryptography.exceptions import InvalidTag  # imported where it is needed: 30 ms of a daemon's start

        try:
            data = base64.b64decode(box, validate=True)
        except ValueError as error:
            raise SealingError("a sealed value is damaged") from error
        head = len(_FORMAT) + _ID_BYTES + _NONCE_BYTES
        if len(data) < head or not data.startswith(_FORMAT):
            raise SealingError("a sealed value has a format this version does not know")
        key_id, nonce = data[1 : 1 + _ID_BYTES], data[1 + _ID_BYTES : head]
        if key_id not in self._derived:
            raise SealingError("a value was sealed with another key; set SECRETS_KEY_PREVIOUS to the one before")
        try:
            return self._cipher(key_id).decrypt(nonce, data[head:], _bound(context)).decode()
        except InvalidTag as error:
            raise SealingError("a sealed value is damaged or belongs to something else") from error

    def needs_resealing(self, box: str) -> bool:
        """Whether the box is sealed with the previous key and should be sealed anew."""
        return base64.b64decode(box)[1 : 1 + _ID_BYTES] != self._current

    def _cipher(self, key_id: bytes) -> _Cipher:
        if key_id not in self._ciphers:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._ciphers[key_id] = AESGCM(self._derived[key_id])
        return self._ciphers[key_id]


def _derive(text: str) -> bytes:
    """HKDF-SHA-256 (RFC 5869) with an empty salt: extract, then one block of expand."""
    extracted = hmac.digest(bytes(32), text.encode(), hashlib.sha256)
    return hmac.digest(extracted, _LABEL + b"\x01", hashlib.sha256)


def _key_id(derived: bytes) -> bytes:
    return hashlib.sha256(derived).digest()[:_ID_BYTES]


def _bound(context: Sequence[str]) -> bytes:
    parts = [part.encode() for part in context]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
