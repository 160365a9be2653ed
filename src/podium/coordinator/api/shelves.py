"""From a call to the workspace it is about, and work on it in threads, so that the event loop never waits for a disk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, TypeVar

from podium.base.http import Call
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.domain.ports import WorkspaceLibrary, Workspaces
from podium.wire.errors import ErrorCode, PodiumError

SETTLE_SECONDS: Final = 2.0
"""How long a read waits until what was written before it is recorded; then it sees what is."""

READ_SECONDS: Final = 30.0
"""How long a call that reads may take; usually a millisecond."""

WRITE_SECONDS: Final = 600.0
"""How long a call that writes may take: a large file is copied, a tree is removed."""

PIECE_SECONDS: Final = 60.0
"""How long each piece of an answer may take to be made."""

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

    async def work(self, agent_id: str, what: Callable[[WorkspaceLibrary], T], *, seconds: float = READ_SECONDS) -> T:
        """Does something with the workspace, in a thread. Once begun it is done to its end, also when the caller goes away.

        Raises:
            PodiumError: `workspace_unavailable`: not within `seconds`; what has begun may still be done. Or what is found may not be
                shown now (`OutsideFiles.shown`).
        """
        outside = self._lookup.supervisor.outside_files
        if not outside.waits(agent_id):
            return await self.workspaces.work(agent_id, what, seconds=seconds)
        found, head = await self.workspaces.work(
            agent_id, lambda library: (what(library), library.head), seconds=seconds
        )
        await outside.shown(agent_id, head)
        return found

    async def change(self, agent_id: str, what: Callable[[WorkspaceLibrary], T]) -> T:
        """The same for what changes the workspace, which is then brought outside this host.

        Raises:
            PodiumError: as `work`.
        """
        async with self.changing(agent_id):
            found, head = await self.workspaces.work(
                agent_id, lambda library: (what(library), library.head), seconds=WRITE_SECONDS
            )
        await self.shown(agent_id, head)
        return found

    def changing(self, agent_id: str) -> AbstractAsyncContextManager[None]:
        """Within the block the workspace is changed; that is brought outside this host then."""
        return self._lookup.supervisor.outside_files.changing(agent_id)

    async def shown(self, agent_id: str, head: int) -> None:
        """Returns when what is recorded up to `head` may be told.

        Raises:
            PodiumError: as `OutsideFiles.shown`.
        """
        await self._lookup.supervisor.outside_files.shown(agent_id, head)

    def stream(self, agent_id: str, what: Callable[[WorkspaceLibrary], Iterator[bytes]]) -> AsyncIterator[bytes]:
        """Pieces as they are made, one at a time in memory; the workspace is held until the end, or until this is closed."""
        return self.workspaces.pieces(agent_id, what, seconds=PIECE_SECONDS)
