"""Keys, secrets, configuration and hosts."""

from collections.abc import AsyncIterator
from typing import Any

from podium.client.call import Call, api_path, read_as
from podium.client.pages import read_pages
from podium.client.transport import Transport
from podium.wire.errors import as_json
from podium.wire.rest import ConfigView, Coordinator, KeyCreate, KeyCreated, KeyInfo, Model, Page, SecretNames


class Keys:
    """`/api/v1/keys`; needs an admin key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, key: KeyCreate) -> KeyCreated:
        """Makes a key. Not repeated on failure: a second one might be made and never be seen."""
        call = Call("create_key", "POST", api_path("keys"), as_json(key), repeatable=False)
        return read_as(KeyCreated, await self._transport.send(call), call)

    def list(self, limit: int | None = None) -> AsyncIterator[KeyInfo]:
        """Keys without their secrets."""
        return read_pages(self._transport, "list_keys", ("keys",), KeyInfo, {"limit": limit})

    async def revoke(self, key_id: str) -> None:
        """Within 5 s no gateway accepts the key."""
        await self._transport.send(Call("revoke_key", "DELETE", api_path("keys", key_id)))


class Secrets:
    """`/api/v1/secrets`: values go in and never come out."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def put(self, agent_type: str, values: dict[str, str]) -> None:
        """Adds or replaces the named secrets of an agent type; others stay."""
        await self._transport.send(Call("put_secrets", "PUT", api_path("secrets", agent_type), as_json(values)))

    async def names(self, agent_type: str) -> SecretNames:
        """Names of the secrets of an agent type."""
        call = Call("list_secrets", "GET", api_path("secrets", agent_type))
        return read_as(SecretNames, await self._transport.send(call), call)

    async def remove(self, agent_type: str, name: str) -> None:
        """Removes one secret."""
        await self._transport.send(Call("remove_secret", "DELETE", api_path("secrets", agent_type, name)))


class Config:
    """`/api/v1/config`: the runtime layer every agent reads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self) -> ConfigView:
        """The layer and its version."""
        call = Call("get_config", "GET", api_path("config"))
        return read_as(ConfigView, await self._transport.send(call), call)

    async def put(self, config: dict[str, Any]) -> ConfigView:
        """Replaces the layer; every agent hears what changed."""
        call = Call("put_config", "PUT", api_path("config"), as_json({"config": config}))
        return read_as(ConfigView, await self._transport.send(call), call)

    async def models(self) -> list[Model]:
        """The models agents may use."""
        call = Call("list_models", "GET", api_path("config", "models"))
        return read_as(Page[Model], await self._transport.send(call), call).items


class Coordinators:
    """`/api/v1/coordinators`; needs an admin key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, limit: int | None = None) -> AsyncIterator[Coordinator]:
        """The coordinators that announced themselves."""
        return read_pages(self._transport, "list_coordinators", ("coordinators",), Coordinator, {"limit": limit})

    async def drain(self, coordinator_id: str) -> None:
        """Takes no new agents there, and moves what runs."""
        await self._transport.send(Call("drain", "POST", api_path("coordinators", coordinator_id, "drain")))
