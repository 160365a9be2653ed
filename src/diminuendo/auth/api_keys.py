"""API keys: who holds which, by the hash of the key."""

import hmac
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from diminuendo.auth.errors import TokenRefusedError
from diminuendo.auth.verified import Verified
from diminuendo.domain.members import Role
from diminuendo.protocol.answers import Identity
from podium.base.keys import hash_key
from podium.wire.ids import is_tenant_id

PREFIX: Final = "pod_"
"""How every API key begins; made by `podium.base.keys.make_key`."""


class KeyRecord(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is kept of a key: its SHA-256 in hex, and whose it is. `expires_at` is epoch milliseconds; None: never. `key_id` is the
    public part of the key, by which people speak of it."""

    key_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    user_id: Annotated[str, Meta(min_length=1, max_length=255)]
    tenant_id: str
    role: Role = Role.MEMBER
    email: str = ""
    expires_at: int | None = None
    key_id: str = ""

    def __post_init__(self) -> None:
        if not is_tenant_id(self.tenant_id):
            raise ValueError(f"{self.tenant_id!r} is no tenant id")


class ApiKeys:
    """The keys that are valid."""

    def __init__(self, records: Iterable[KeyRecord] = ()) -> None:
        self._by_hash = {record.key_hash: record for record in records}

    def identify(self, key: str, now_ms: int) -> Verified:
        """Whose key it is.

        Raises:
            TokenRefusedError: nobody's, or its time is over.
        """
        hashed = hash_key(key)
        record = self._by_hash.get(hashed)
        # The lookup goes by a hash of 160 random bits: its time tells nothing of any key. Compared all the same.
        if record is None or not hmac.compare_digest(record.key_hash, hashed):
            raise TokenRefusedError("the API key is not valid")
        left = None if record.expires_at is None else record.expires_at - now_ms
        if left is not None and left <= 0:
            raise TokenRefusedError("the API key has expired")
        return Verified(Identity(record.user_id, record.email, record.tenant_id, record.role.value), left)


def read_records(path: Path) -> list[KeyRecord]:
    """The keys in a JSON file: a list of `{keyHash, userId, tenantId, role?, email?, expiresAt?, keyId?}`.

    Raises:
        OSError: it can't be read.
        ValueError: it is no such list.
    """
    return msgspec.json.decode(path.read_bytes(), type=list[KeyRecord])


def read_api_keys(path: Path) -> ApiKeys:
    """The same, to look keys up."""
    return ApiKeys(read_records(path))
