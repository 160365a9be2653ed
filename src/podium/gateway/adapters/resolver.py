"""The one place where it is decided what exists for a caller. Every route and the WebSocket go through it."""

from podium.base.discovery import AgentRecord, Discovery, InstanceRecord
from podium.base.http import Identity
from podium.gateway.adapters.registry import Registry, StoredDeployment
from podium.wire.errors import ErrorCode, FieldError, PodiumError
from podium.wire.refs import parse_ref
from podium.wire.status import InstanceStatus


class Resolver:
    """Finds what belongs to the caller's tenant; what belongs to another does not exist."""

    def __init__(self, discovery: Discovery, registry: Registry) -> None:
        self._discovery = discovery
        self._registry = registry

    async def instance(self, identity: Identity, instance_id: str) -> InstanceRecord:
        """An instance, over or not.

        Raises:
            PodiumError: `instance_not_found`.
        """
        record = await self._discovery.instance(instance_id)
        if record is None or not identity.sees(record.tenant_id):
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "there is no such instance")
        return record

    async def present_instance(self, identity: Identity, instance_id: str) -> InstanceRecord:
        """An instance that was not stopped (one that failed is still there to be asked why).

        Raises:
            PodiumError: `instance_not_found`.
        """
        record = await self.instance(identity, instance_id)
        if record.status is InstanceStatus.TERMINATED:
            raise PodiumError(ErrorCode.INSTANCE_NOT_FOUND, "the instance was stopped")
        return record

    async def agent(self, identity: Identity, agent_id: str) -> AgentRecord:
        """An agent.

        Raises:
            PodiumError: `agent_not_found`.
        """
        record = await self._discovery.agent(agent_id)
        if record is None or not identity.sees(record.tenant_id):
            raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "there is no such agent")
        return record

    async def agent_or_none(self, identity: Identity, agent_id: str, tenant_id: str) -> AgentRecord | None:
        """An agent that `tenant_id` may continue; None when the name is free.

        Raises:
            PodiumError: `agent_not_found` when it is another tenant's.
        """
        record = await self._discovery.agent(agent_id)
        if record is not None and (not identity.sees(record.tenant_id) or record.tenant_id != tenant_id):
            raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "there is no such agent")
        return record

    async def deployment(self, identity: Identity, reference: str) -> StoredDeployment:
        """What a deployment reference means.

        Raises:
            PodiumError: `invalid_request` when it is none, `deployment_not_found`, `checksum_mismatch`.
        """
        try:
            ref = parse_ref(reference)
        except ValueError as error:
            fields = [FieldError("deployment_id", str(error))]
            raise PodiumError(ErrorCode.INVALID_REQUEST, f"deployment_id: {error}", errors=fields) from error
        return await self._registry.find(ref, identity.tenant_id)
