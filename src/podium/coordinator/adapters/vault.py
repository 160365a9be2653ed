"""Keeps what instances were given in secret from whoever reads the catalog's file: sealed with an AEAD, bound to the instance.

A box is 12 random bytes (the nonce), then ChaCha20-Poly1305 of the JSON `{environment, secrets}` with the instance id as
associated data. The key is the SHA-256 of a label and the coordinator's secret.
"""

import hashlib
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_LABEL = b"podium catalog 1\0"
_NONCE_BYTES = 12


class VaultError(Exception):
    """A box can't be opened: it was sealed under another secret, for another instance, or it is damaged."""


class Given(msgspec.Struct, frozen=True):
    """What a create call gave in confidence."""

    environment: dict[str, str]
    secrets: dict[str, str]


class Vault:
    """Seals and opens boxes under one secret, and opens those sealed under older ones."""

    def __init__(self, secret: str, previous: tuple[str, ...] = ()) -> None:
        self._boxes = [
            ChaCha20Poly1305(hashlib.sha256(_LABEL + each.encode()).digest()) for each in (secret, *previous)
        ]

    def seal(self, instance_id: str, given: Given) -> bytes:
        """The box for an instance."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._boxes[0].encrypt(nonce, msgspec.json.encode(given), instance_id.encode())

    def open(self, instance_id: str, box: bytes) -> Given:
        """What is in the box.

        Raises:
            VaultError: it does not open.
        """
        for key in self._boxes:
            try:
                data = key.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], instance_id.encode())
            except (InvalidTag, ValueError):
                continue
            return msgspec.json.decode(data, type=Given)
        raise VaultError(f"the secrets of {instance_id} can't be opened with the secret of this coordinator")
