"""From a call to the workspace it is about, and work on it in threads, so that the event loop never waits for a disk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar

from podium.base.http import Call
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.domain.ports import WorkspaceLibrary, Workspaces
from podium.wire.errors import ErrorCode, PodiumError

SETTLE_SECONDS: Final = 2.0
"""How long a read waits until what was written before it is recorded; then it sees what is."""

T = TypeVar("T")


class Shelves:
    """Workspaces by call. An agent need not be awake, nor have an instance."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    @property
    def workspaces(self) -> Workspaces:
        """All workspaces of this host."""
        return self._lookup.supervisor.parts.workspaces

    def agent_of(self, call: Call) -> str:
        """The agent a call is about: the one in its path, or that of the instance there.

        Raises:
            PodiumError: `instance_not_found`, `agent_not_found`; what belongs to another tenant is not there.
        """
        if "instance_id" in call.path:
            return self._lookup.known(call).facts.agent_id
        agent_id: str = call.path["agent_id"]
        entry = self._lookup.supervisor.parts.catalog.agent(agent_id)
        if entry is None or not call.identity.sees(entry.tenant_id):
            raise PodiumError(ErrorCode.AGENT_NOT_FOUND, "there is no such agent on this host")
        return agent_id

    async def settle(self, agent_id: str) -> None:
        """What was written before can be read from now on; bounded."""
        with suppress(PodiumError, TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self.workspaces.barrier(agent_id)

    async def work(self, agent_id: str, what: Callable[[WorkspaceLibrary], T]) -> T:
        """Does something with the workspace, in a thread. Once begun it is done to its end, also when the caller goes away."""

        def run() -> T:
            with self.workspaces.library(agent_id) as library:
                return what(library)

        return await in_thread(run)

    async def stream(self, agent_id: str, what: Callable[[WorkspaceLibrary], Iterator[bytes]]) -> AsyncIterator[bytes]:
        """Pieces as they are made, one at a time in memory; the workspace is held until the end, or until this is closed."""
        context = self.workspaces.library(agent_id)
        library = await in_thread(context.__enter__)
        try:
            source = await in_thread(what, library)
            while (piece := await in_thread(next, source, None)) is not None:
                yield piece
        finally:
            await in_thread(context.__exit__, None, None, None)


async def in_thread(what: Callable[..., T], *args: Any) -> T:
    """The result of `what` in a thread. That can't be cut short: who is cancelled meanwhile waits for its end first."""
    running = asyncio.get_running_loop().run_in_executor(None, partial(copy_context().run, what, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()
        raise
