"""`/api/v1/keys`: made and shown once, listed without their secret, revoked."""

from podium.base.discovery import KeyRecord
from podium.base.http import Answer, Call, Endpoint, Param
from podium.base.keys import make_key
from podium.gateway.api.paging import ListQuery, page_of
from podium.gateway.parts import Parts
from podium.wire.budgets import Allowance, day_of
from podium.wire.errors import ErrorCode, FieldError, PodiumError
from podium.wire.ids import is_tenant_id
from podium.wire.rest import TENANT_DEFAULT, KeyCreate, KeyCreated, KeyInfo, Page, Permission

TAG = "keys"


class Keys:
    """Routes of keys; all need an admin."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create_key(self, call: Call) -> KeyCreated:
        """Makes a key; only its hash is stored."""
        wanted: KeyCreate = call.body
        now = self._parts.clock.now_ms()
        if not is_tenant_id(wanted.tenant_id):
            raise _invalid("body.tenant_id", "a tenant id has no line breaks")
        if wanted.expires_at is not None and wanted.expires_at <= now:
            raise _invalid("body.expires_at", "this is in the past")
        permissions: list[Permission] = list(TENANT_DEFAULT if wanted.permissions is None else wanted.permissions)
        made = make_key(admin=Permission.ADMIN in permissions)
        record = KeyRecord(
            made.key_id,
            made.key_hash,
            wanted.tenant_id,
            _values(permissions),
            now,
            wanted.expires_at,
            wanted.name,
            wanted.limits,
        )
        await self._parts.discovery.put_key(record)
        if wanted.limits.budget != Allowance():
            await self._parts.discovery.add_spending(wanted.tenant_id, day_of(now), 0, wanted.limits.budget)
        info = _info(record)
        return KeyCreated(**{name: getattr(info, name) for name in KeyInfo.__struct_fields__}, key=made.key)

    async def list_keys(self, call: Call) -> Page[KeyInfo]:
        """Keys by id."""
        query: ListQuery = call.query
        found = await self._parts.discovery.keys(query.cursor, query.limit + 1)
        return page_of(found, query.limit, _info, lambda record: record.key_id)

    async def revoke_key(self, call: Call) -> Answer:
        """Revokes a key; every gateway hears of it."""
        key_id: str = call.path["key_id"]
        if not await self._parts.discovery.remove_key(key_id):
            raise PodiumError(ErrorCode.KEY_NOT_FOUND, "there is no such key")
        self._parts.callers.forget(key_id)
        return Answer(204)

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        return [
            Endpoint(
                method="POST",
                path="/api/v1/keys",
                handler=self.create_key,
                audited=True,
                tag=TAG,
                access=Permission.ADMIN,
                summary="Make a key",
                description="The key is shown this once; only its hash is stored.",
                body=KeyCreate,
                answers={201: KeyCreated},
                examples={"body": {"tenant_id": "acme", "name": "ci"}},
            ),
            Endpoint(
                method="GET",
                path="/api/v1/keys",
                handler=self.list_keys,
                tag=TAG,
                access=Permission.ADMIN,
                summary="List keys",
                query=ListQuery,
                answers={200: Page[KeyInfo]},
            ),
            Endpoint(
                method="DELETE",
                path="/api/v1/keys/{key_id}",
                handler=self.revoke_key,
                audited=True,
                tag=TAG,
                access=Permission.ADMIN,
                summary="Revoke a key",
                description="Within 5 s no gateway accepts it, and its open WebSockets are closed with 4401.",
                params={"key_id": Param(missing=ErrorCode.KEY_NOT_FOUND)},
                answers={204: None},
                errors=(ErrorCode.KEY_NOT_FOUND,),
            ),
        ]


_KNOWN = frozenset(permission.value for permission in Permission)


def _info(record: KeyRecord) -> KeyInfo:
    known = [Permission(name) for name in record.permissions if name in _KNOWN]
    return KeyInfo(
        record.key_id, record.tenant_id, known, record.created_at, record.expires_at, record.name, record.limits
    )


def _values(permissions: list[Permission]) -> list[str]:
    return list(dict.fromkeys(permission.value for permission in permissions))


def _invalid(loc: str, message: str) -> PodiumError:
    return PodiumError(ErrorCode.INVALID_REQUEST, f"{loc}: {message}", errors=[FieldError(loc, message)])
