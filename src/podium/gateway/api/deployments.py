"""`/api/v1/deployments`: bundles go in once, checked whole, and never change."""

import asyncio
import logging
from typing import Annotated, BinaryIO, cast

from msgspec import Meta

from podium.base.bundles import check_bundle, check_manifest
from podium.base.discovery import DiscoveryUnavailableError, InstanceFilter
from podium.base.http import Answer, Call, Endpoint, Identity, Multipart, Param
from podium.gateway.adapters.coordinators import Request
from podium.gateway.adapters.registry import StoredDeployment
from podium.gateway.adapters.uploads import Upload, receive_upload
from podium.gateway.api.paging import ListQuery
from podium.gateway.domain.placement import choose
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, FieldError, PodiumError, as_json
from podium.wire.ids import is_agent_type
from podium.wire.manifest import Manifest
from podium.wire.refs import Version, deployment_id
from podium.wire.rest import AgentType, Deployment, DeployRequest, Page, Permission
from podium.wire.status import ALIVE

TAG = "deployments"
IN_USE_PAGE = 1_000

_log = logging.getLogger(__name__)

_FORM = Multipart(
    {
        "type": "object",
        "required": ["file", "agent_type", "version"],
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "The bundle, a tar.gz of at most 1 GiB"},
            "agent_type": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
            "version": {"type": "string", "description": "A semantic version 2.0", "maxLength": 128},
        },
    }
)
_REFERENCE = Param(
    Annotated[str, Meta(min_length=1, max_length=300)],
    ErrorCode.DEPLOYMENT_NOT_FOUND,
    "`type:version@hash8`, `type:version@local`, `type:version` or `type`",
)


class DeploymentsQuery(ListQuery, frozen=True):
    """Filters of the list."""

    agent_type: AgentType | None = None


class Deployments:
    """Routes of deployments."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create_deployment(self, call: Call) -> Answer:
        """Takes a bundle whole or refuses it whole."""
        directory = self._parts.options.upload_directory
        upload = await receive_upload(call.headers.get("content-type", ""), call.stream(), directory)
        try:
            wanted = await self._checked(upload, call.identity.owner)
            await self._parts.quotas.check_deployment(call.identity, wanted.deployment_id)
            stored, is_new = await self._parts.registry.add(wanted, upload.chunks())
        finally:
            upload.close()
        if is_new:
            self._parts.background.start(self._prepare(stored, call.identity, call.request_id), "prepare-deployment")
        return Answer(201 if is_new else 200, stored.public())

    async def list_deployments(self, call: Call) -> Page[Deployment]:
        """Deployments by type and version."""
        query: DeploymentsQuery = call.query
        found, cursor = await self._parts.registry.list(
            call.identity.tenant_id, query.agent_type, query.cursor, query.limit
        )
        return Page([stored.public() for stored in found], cursor)

    async def get_deployment(self, call: Call) -> Deployment:
        """One deployment, by any reference."""
        return (await self._resolve(call)).public()

    async def delete_deployment(self, call: Call) -> Answer:
        """Removes a deployment no instance uses."""
        deployment = await self._resolve(call)
        if await self._is_used(deployment.deployment_id):
            raise PodiumError(ErrorCode.DEPLOYMENT_IN_USE, "stop its instances first")
        await self._parts.registry.remove(deployment)
        return Answer(204)

    async def _resolve(self, call: Call) -> StoredDeployment:
        try:
            return await self._parts.resolver.deployment(call.identity, call.path["deployment_id"])
        except PodiumError as error:
            if error.code is ErrorCode.INVALID_REQUEST:
                raise PodiumError(ErrorCode.DEPLOYMENT_NOT_FOUND, error.detail) from error
            raise

    async def _checked(self, upload: Upload, tenant_id: str) -> StoredDeployment:
        agent_type, version = _form_fields(upload)
        manifest = await asyncio.to_thread(_check, upload)
        check_manifest(manifest, agent_type, version)
        return StoredDeployment(
            deployment_id=deployment_id(agent_type, version, upload.sha256),
            agent_type=agent_type,
            version=version,
            checksum=f"sha256:{upload.sha256}",
            size=upload.size,
            runtime=manifest.runtime,
            created_at=self._parts.clock.now_ms(),
            tenant_id=tenant_id,
        )

    async def _is_used(self, wanted: str) -> bool:
        after: str | None = None
        while True:
            found = await self._parts.discovery.instances(InstanceFilter(deployment_id=wanted), after, IN_USE_PAGE)
            if any(record.status in ALIVE for record in found):
                return True
            if len(found) < IN_USE_PAGE:
                return False
            after = found[-1].instance_id

    async def _prepare(self, deployment: StoredDeployment, identity: Identity, request_id: str) -> None:
        """Lets one coordinator fetch and prepare it, so that the first instance starts fast. Failing is fine."""
        source = self._parts.registry.source(deployment)
        body = DeployRequest(source, deployment.checksum, deployment.agent_type, deployment.version)
        try:
            coordinator = choose(await self._parts.coordinators.all(fresh=True), lambda _: 0)
            request = Request("POST", "/deploy/agent", identity, request_id, as_json(body), _JSON)
            await self._parts.coordinators.call(coordinator, request)
        except (PodiumError, DiscoveryUnavailableError) as error:
            _log.info("prepare_failed", extra={"deployment_id": deployment.deployment_id, "reason": str(error)})

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        path, one = "/api/v1/deployments", "/api/v1/deployments/{deployment_id}"
        refused = (ErrorCode.INVALID_BUNDLE, ErrorCode.BUNDLE_TOO_LARGE, ErrorCode.DEPLOYMENT_EXISTS)
        missing = (ErrorCode.DEPLOYMENT_NOT_FOUND, ErrorCode.CHECKSUM_MISMATCH)
        return [
            Endpoint(
                method="POST",
                path=path,
                handler=self.create_deployment,
                audited=True,
                tag=TAG,
                access=Permission.DEPLOYMENTS_WRITE,
                summary="Upload a deployment",
                description="200: the same bytes were there already. 409: the version exists with other bytes.",
                body=_FORM,
                answers={201: Deployment, 200: Deployment},
                errors=(*refused, ErrorCode.UNSUPPORTED_MEDIA_TYPE),
            ),
            Endpoint(
                method="GET",
                path=path,
                handler=self.list_deployments,
                tag=TAG,
                access=Permission.INSTANCES_READ,
                summary="List deployments",
                query=DeploymentsQuery,
                answers={200: Page[Deployment]},
            ),
            Endpoint(
                method="GET",
                path=one,
                handler=self.get_deployment,
                tag=TAG,
                access=Permission.INSTANCES_READ,
                summary="Show a deployment",
                params={"deployment_id": _REFERENCE},
                answers={200: Deployment},
                errors=missing,
            ),
            Endpoint(
                method="DELETE",
                path=one,
                handler=self.delete_deployment,
                audited=True,
                tag=TAG,
                access=Permission.DEPLOYMENTS_WRITE,
                summary="Remove a deployment",
                params={"deployment_id": _REFERENCE},
                answers={204: None},
                errors=(*missing, ErrorCode.DEPLOYMENT_IN_USE),
            ),
        ]


_JSON = {"content-type": "application/json"}


def _form_fields(upload: Upload) -> tuple[str, str]:
    missing = [name for name in ("agent_type", "version") if name not in upload.fields]
    if not upload.has_file:
        missing.insert(0, "file")
    if missing:
        raise _invalid(missing[0], "this field is missing")
    agent_type, version = upload.fields["agent_type"], upload.fields["version"]
    if not is_agent_type(agent_type):
        raise _invalid("agent_type", "use a-z, 0-9 and dashes, at most 63 characters")
    try:
        return agent_type, Version(version).text
    except ValueError as error:
        raise _invalid("version", str(error)) from error


def _check(upload: Upload) -> Manifest:
    upload.file.seek(0)
    return check_bundle(cast("BinaryIO", upload.file))


def _invalid(name: str, message: str) -> PodiumError:
    loc = f"body.{name}"
    return PodiumError(ErrorCode.INVALID_REQUEST, f"{loc}: {message}", errors=[FieldError(loc, message)])
