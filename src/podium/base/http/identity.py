"""Who calls: what a daemon knows of a caller once its credential was checked, and how the gateway tells the coordinator."""

import hmac
from collections.abc import Mapping
from typing import Final

import msgspec

from podium.base.http.endpoint import METRICS, PUBLIC, Access
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.ids import is_tenant_id
from podium.wire.rest import Permission, TenantLimits

TENANT_HEADER: Final = "podium-tenant"
"""Gateway → coordinator: the tenant acted for (absent: an admin who acts for none). Client → gateway: an admin's choice."""

ROLE_HEADER: Final = "podium-role"
"""Gateway → coordinator: `user` or `admin`."""

PERMISSIONS_HEADER: Final = "podium-permissions"
"""Gateway → coordinator: the permissions of the key, separated by commas."""


class Identity(msgspec.Struct, frozen=True):
    """A caller. `tenant_id` None: an admin who acts for no tenant and sees all. `key_id` empty: no stored key.

    `owner` is the tenant that what the caller makes belongs to; with a `tenant_id`, the same. `limits` go before those configured.
    """

    tenant_id: str | None = None
    is_admin: bool = False
    permissions: frozenset[str] = frozenset()
    key_id: str = ""
    owner: str = ""
    limits: TenantLimits = TenantLimits()

    def may(self, permission: Permission) -> bool:
        """Whether the caller has the permission; admins have all."""
        return self.is_admin or permission.value in self.permissions

    def sees(self, tenant_id: str) -> bool:
        """Whether what belongs to `tenant_id` exists for this caller."""
        return self.tenant_id == tenant_id or (self.tenant_id is None and self.is_admin)


NOBODY: Final = Identity()
"""The caller of a public route."""


def require(identity: Identity, access: Access) -> None:
    """Checks that `identity` may use a route of `access`.

    Raises:
        PodiumError: `permission_denied`.
    """
    if isinstance(access, Permission) and not identity.may(access):
        raise PodiumError(ErrorCode.PERMISSION_DENIED, f"this needs the permission {access.value}")


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """The credential of `Authorization: Bearer …`; None when there is none."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def cluster_headers(identity: Identity, cluster_key: str, request_id: str) -> dict[str, str]:
    """The headers with which a gateway speaks to a coordinator on behalf of `identity`."""
    headers = {
        "authorization": f"Bearer {cluster_key}",
        ROLE_HEADER: "admin" if identity.is_admin else "user",
        PERMISSIONS_HEADER: ",".join(sorted(identity.permissions)),
        "x-request-id": request_id,
    }
    if identity.tenant_id is not None:
        headers[TENANT_HEADER] = identity.tenant_id
    return headers


class ClusterAuthenticator:
    """Checks the credential that gateways and coordinators share, and believes the headers that come with it.

    `metrics_key`: a second credential, for routes of access `METRICS` alone; empty: there is none.
    """

    def __init__(self, cluster_key: str, metrics_key: str = "") -> None:
        if not cluster_key:
            raise ValueError("the cluster key must not be empty")
        self._key = cluster_key.encode()
        self._metrics_key = metrics_key.encode()

    async def __call__(self, access: Access, headers: Mapping[str, str]) -> Identity:
        """See `Authenticator`."""
        if access is PUBLIC or (access is METRICS and self._metrics_key and _holds(headers, self._metrics_key)):
            return NOBODY
        return self.identify(headers)

    def identify(self, headers: Mapping[str, str]) -> Identity:
        """The caller the headers tell of, also for WebSockets.

        Raises:
            PodiumError: `unauthenticated`, `invalid_request` for headers no gateway would write.
        """
        if not _holds(headers, self._key):
            raise PodiumError(ErrorCode.UNAUTHENTICATED, "this interface is for the daemons of the cluster")
        tenant_id = headers.get(TENANT_HEADER) or None
        role = headers.get(ROLE_HEADER, "user")
        if role not in {"user", "admin"} or (tenant_id is not None and not is_tenant_id(tenant_id)):
            raise PodiumError(ErrorCode.INVALID_REQUEST, f"{ROLE_HEADER} or {TENANT_HEADER} is malformed")
        permissions = frozenset(filter(None, headers.get(PERMISSIONS_HEADER, "").split(",")))
        return Identity(tenant_id, role == "admin", permissions, owner=tenant_id or "")


def _holds(headers: Mapping[str, str], credential: bytes) -> bool:
    given = bearer_of(headers)
    return given is not None and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), credential)
