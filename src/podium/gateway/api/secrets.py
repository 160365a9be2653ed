"""`/api/v1/secrets`: values go in sealed and never come out."""

from podium.base.http import Answer, Call, Endpoint, Param
from podium.gateway.domain.creation import check_variable
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import AgentType, EnvName, Permission, SecretNames

TAG = "secrets"
_TYPE = Param(AgentType, ErrorCode.SECRET_NOT_FOUND, "Agent type")
_NAME = Param(EnvName, ErrorCode.SECRET_NOT_FOUND, "Name of the environment variable")


class Secrets:
    """Routes of secrets."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def put_secrets(self, call: Call) -> SecretNames:
        """Adds or replaces the named secrets."""
        values: dict[str, str] = call.body
        agent_type: str = call.path["agent_type"]
        tenant_id = call.identity.owner
        for name, value in values.items():
            check_variable("body", name, value)
        sealed = {name: self._parts.vault.seal(tenant_id, agent_type, name, value) for name, value in values.items()}
        await self._parts.discovery.set_secrets(tenant_id, agent_type, sealed)
        return await self._names(tenant_id, agent_type)

    async def list_secrets(self, call: Call) -> SecretNames:
        """Names alone."""
        return await self._names(call.identity.owner, call.path["agent_type"])

    async def delete_secret(self, call: Call) -> Answer:
        """Removes one."""
        agent_type, name = call.path["agent_type"], call.path["name"]
        if not await self._parts.discovery.remove_secret(call.identity.owner, agent_type, name):
            raise PodiumError(ErrorCode.SECRET_NOT_FOUND, "there is no such secret")
        return Answer(204)

    async def _names(self, tenant_id: str, agent_type: str) -> SecretNames:
        record = await self._parts.discovery.secrets(tenant_id, agent_type)
        return SecretNames(agent_type, sorted(record.sealed) if record else [])

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        path = "/api/v1/secrets/{agent_type}"
        return [
            Endpoint(
                method="PUT",
                path=path,
                handler=self.put_secrets,
                audited=True,
                tag=TAG,
                access=Permission.SECRETS_WRITE,
                summary="Set secrets of an agent type",
                description="Others stay. Instances see them as environment variables when they start.",
                params={"agent_type": _TYPE},
                body=dict[EnvName, str],
                answers={200: SecretNames},
                errors=(ErrorCode.SECRET_NOT_FOUND,),
                examples={"body": {"API_TOKEN": "…"}},
            ),
            Endpoint(
                method="GET",
                path=path,
                handler=self.list_secrets,
                tag=TAG,
                access=Permission.ADMIN,
                summary="List the names of secrets",
                params={"agent_type": _TYPE},
                answers={200: SecretNames},
                errors=(ErrorCode.SECRET_NOT_FOUND,),
            ),
            Endpoint(
                method="DELETE",
                path=path + "/{name}",
                handler=self.delete_secret,
                audited=True,
                tag=TAG,
                access=Permission.SECRETS_WRITE,
                summary="Remove a secret",
                params={"agent_type": _TYPE, "name": _NAME},
                answers={204: None},
                errors=(ErrorCode.SECRET_NOT_FOUND,),
            ),
        ]
