"""The models agents may use: as configured, or as another service lists them."""

import asyncio
from typing import Final

import aiohttp
import msgspec

from podium.base.clock import Clock
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import Model

ASK_SECONDS: Final = 5.0
"""How long the other service may take."""

REMEMBER_SECONDS: Final = 30.0
"""How long its answer is used."""

LIST_MAX_BYTES: Final = 4 * 2**20
"""Largest list taken."""


class Models:
    """`url` None: the configured list."""

    def __init__(self, url: str | None, configured: tuple[Model, ...], clock: Clock) -> None:
        self._url = url
        self._configured = list(configured)
        self._clock = clock
        self._known: list[Model] = []
        self._known_until = -1.0
        self._asking = asyncio.Lock()

    async def all(self) -> list[Model]:
        """The models.

        Raises:
            PodiumError: `unreachable` when the other service gives no list.
        """
        if self._url is None:
            return self._configured
        async with self._asking:
            if self._clock.monotonic() >= self._known_until:
                self._known = await self._ask(self._url)
                self._known_until = self._clock.monotonic() + REMEMBER_SECONDS
        return self._known

    async def _ask(self, url: str) -> list[Model]:
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url.rstrip("/") + "/api/v1/models") as answer,
            ):
                answer.raise_for_status()
                return read_models(await answer.content.read(LIST_MAX_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise PodiumError(ErrorCode.UNREACHABLE, "the service that lists models gives no list") from error


def read_models(body: bytes) -> list[Model]:
    """Models in a body that is a list, or an object with the list in `items`, `models` or `data`.

    Raises:
        msgspec.DecodeError: it is neither.
    """
    found = msgspec.json.decode(body)
    if isinstance(found, dict):
        found = next((found[name] for name in ("items", "models", "data") if name in found), None)
    return msgspec.convert(found, list[Model], strict=False)
