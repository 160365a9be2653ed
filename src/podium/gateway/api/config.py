"""`/api/v1/config`: the runtime layer every agent reads, and the models there are."""

from typing import Any

import msgspec

from podium.base.http import ANY_KEY, Call, Endpoint
from podium.gateway.adapters.models import Models
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode
from podium.wire.rest import ConfigView, Model, Page, Permission

TAG = "configuration"


class ConfigPut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`PUT /api/v1/config`: the whole layer."""

    config: dict[str, Any]


class Config:
    """Routes of the configuration."""

    def __init__(self, parts: Parts, models: Models) -> None:
        self._parts = parts
        self._models = models

    async def get_config(self, _call: Call) -> ConfigView:
        """The runtime layer."""
        record = await self._parts.discovery.config()
        return ConfigView(record.config, record.version)

    async def put_config(self, call: Call) -> ConfigView:
        """Replaces the runtime layer; discovery tells every coordinator what changed."""
        wanted: ConfigPut = call.body
        record = await self._parts.discovery.set_config(wanted.config)
        return ConfigView(record.config, record.version)

    async def list_models(self, _call: Call) -> Page[Model]:
        """The models agents may use."""
        return Page(await self._models.all())

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        path = "/api/v1/config"
        return [
            Endpoint(
                method="GET",
                path=path,
                handler=self.get_config,
                tag=TAG,
                access=ANY_KEY,
                summary="Read the runtime configuration",
                answers={200: ConfigView},
            ),
            Endpoint(
                method="PUT",
                path=path,
                handler=self.put_config,
                audited=True,
                tag=TAG,
                access=Permission.CONFIG_WRITE,
                summary="Replace the runtime configuration",
                description="Every agent hears what changed (`on_config_change`).",
                body=ConfigPut,
                answers={200: ConfigView},
                examples={"body": {"config": {"model": "small"}}},
            ),
            Endpoint(
                method="GET",
                path=path + "/models",
                handler=self.list_models,
                tag=TAG,
                access=ANY_KEY,
                summary="List the models agents may use",
                answers={200: Page[Model]},
                errors=(ErrorCode.UNREACHABLE,),
            ),
        ]
