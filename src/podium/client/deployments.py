"""Deployments: upload, list, remove."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from podium.client.call import Answer, Call, api_path, read_as
from podium.client.pages import read_pages
from podium.client.resilience import with_retry
from podium.client.retry import CALLS
from podium.client.transport import Transport
from podium.wire.rest import Deployment

UPLOAD_SECONDS: Final = 3600.0
"""How long an upload may take: 1 GiB over a slow line."""

CHUNK_BYTES: Final = 256 * 1024
"""Bytes read and sent at a time; the whole bundle is never in memory."""

Progress = Callable[[int, int], None]
"""Told how many bytes of how many have been handed to the network."""


def no_progress(_sent: int, _size: int) -> None:
    """Ignores how far an upload is."""


class Deployments:
    """`/api/v1/deployments`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def upload(self, bundle: Path, agent_type: str, version: str, progress: Progress = no_progress) -> Deployment:
        """Uploads a tar.gz. The same bytes again give the same deployment, so a lost upload is tried again.

        Raises:
            PodiumConnectionError: `invalid_bundle`, `deployment_exists`, `bundle_too_large`, …
            OSError: the bundle can't be read.
        """
        call = Call("deploy", "POST", api_path("deployments"), seconds=UPLOAD_SECONDS)

        async def once() -> Answer:
            import aiohttp

            size = bundle.stat().st_size
            form = aiohttp.FormData()
            form.add_field("agent_type", agent_type)
            form.add_field("version", version)
            form.add_field(
                "file", _chunks(bundle, size, progress), filename=bundle.name, content_type="application/gzip"
            )
            return await self._transport.send_once(call, form)

        return read_as(Deployment, await with_retry(CALLS, self._transport.timing, once), call)

    def list(self, agent_type: str | None = None, limit: int | None = None) -> AsyncIterator[Deployment]:
        """Deployments, of one type or of all."""
        query = {"agent_type": agent_type, "limit": limit}
        return read_pages(self._transport, "list_deployments", ("deployments",), Deployment, query)

    async def get(self, deployment_id: str) -> Deployment:
        """One deployment, by its id or any reference."""
        call = Call("get_deployment", "GET", api_path("deployments", deployment_id))
        return read_as(Deployment, await self._transport.send(call), call)

    async def remove(self, deployment_id: str) -> None:
        """Removes a deployment that no instance uses."""
        await self._transport.send(Call("remove_deployment", "DELETE", api_path("deployments", deployment_id)))


async def _chunks(bundle: Path, size: int, progress: Progress) -> AsyncIterator[bytes]:
    sent = 0
    with await asyncio.to_thread(bundle.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            progress(sent, size)
