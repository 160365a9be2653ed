"""Who holds a key: looked up in discovery, remembered for a moment, forgotten at once when revoked."""

import hmac
from collections.abc import Mapping
from typing import Final

from podium.base.clock import Clock
from podium.base.discovery import Discovery, KeyRecord
from podium.base.http import NOBODY, PUBLIC, Access, Identity, bearer_of
from podium.base.http.identity import TENANT_HEADER
from podium.base.keys import hash_key, key_id_of
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.ids import is_tenant_id
from podium.wire.rest import Permission

REMEMBER_SECONDS: Final = 2.0
"""How long a looked-up key is believed without asking again."""

REMEMBERED_MAX: Final = 10_000
"""Keys remembered at most."""

HOME_TENANT: Final = "default"
"""Tenant of what the first admin key makes without saying for whom."""


class Callers:
    """The gateway's `Authenticator`, for REST and for WebSockets."""

    def __init__(self, discovery: Discovery, clock: Clock, admin_key: str | None) -> None:
        self._discovery = discovery
        self._clock = clock
        self._admin_hash = hash_key(admin_key) if admin_key else None
        self._known: dict[str, tuple[KeyRecord | None, float]] = {}

    async def __call__(self, access: Access, headers: Mapping[str, str]) -> Identity:
        """See `Authenticator`."""
        if access is PUBLIC:
            return NOBODY
        return await self.identify(bearer_of(headers), headers.get(TENANT_HEADER))

    async def identify(self, key: str | None, acts_for: str | None = None) -> Identity:
        """The holder of `key`. `acts_for` is the tenant an admin acts for; from others it is refused unless it is theirs.

        Raises:
            PodiumError: `unauthenticated`, `permission_denied`, `invalid_request` for a tenant that can't be one.
        """
        if key is None:
            raise PodiumError(ErrorCode.UNAUTHENTICATED, "send Authorization: Bearer <key>")
        if acts_for is not None and not is_tenant_id(acts_for):
            raise PodiumError(ErrorCode.INVALID_REQUEST, "Podium-Tenant is no tenant id")
        hashed = hash_key(key)
        if self._admin_hash is not None and hmac.compare_digest(hashed, self._admin_hash):
            return Identity(acts_for, True, owner=acts_for or HOME_TENANT)
        return _identity(await self._checked(key, hashed), acts_for)

    def forget(self, key_id: str) -> None:
        """The key is asked for anew at its next use."""
        self._known.pop(key_id, None)

    async def still_valid(self, key_id: str) -> bool:
        """Whether a stored key may still be used; asks discovery."""
        self.forget(key_id)
        record = await self._record(key_id)
        return record is not None and not self._is_over(record)

    async def _checked(self, key: str, hashed: str) -> KeyRecord:
        key_id = key_id_of(key)
        record = await self._record(key_id) if key_id is not None else None
        if record is None or not hmac.compare_digest(hashed, record.key_hash) or self._is_over(record):
            raise PodiumError(ErrorCode.UNAUTHENTICATED, "the key is unknown, expired or revoked")
        return record

    async def _record(self, key_id: str) -> KeyRecord | None:
        now = self._clock.monotonic()
        known = self._known.get(key_id)
        if known is not None and known[1] > now:
            return known[0]
        record = await self._discovery.key(key_id)
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        if record is not None:
            self._known[key_id] = (record, now + REMEMBER_SECONDS)
        return record

    def _is_over(self, record: KeyRecord) -> bool:
        return record.expires_at is not None and record.expires_at <= self._clock.now_ms()


def _identity(record: KeyRecord, acts_for: str | None) -> Identity:
    permissions = frozenset(record.permissions)
    if Permission.ADMIN.value in permissions:
        return Identity(acts_for, True, permissions, record.key_id, acts_for or record.tenant_id, record.limits)
    if acts_for not in (None, record.tenant_id):
        raise PodiumError(ErrorCode.PERMISSION_DENIED, "only an admin key acts for another tenant")
    return Identity(record.tenant_id, False, permissions, record.key_id, record.tenant_id, record.limits)
