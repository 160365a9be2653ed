"""The sessions of one person on one machine, which `podium acp` keeps: a list in a small database, the rest is Podium's.

Any number of processes use the same list at once. A session belongs to none of them: Podium runs its turns one at a time, and
whoever has it open sees all of them.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from diminuendo.acp.keeper import SessionView, cwd_of, erase, instance_of, newest_config
from diminuendo.acp.rpc.messages import NOT_FOUND, RpcError
from diminuendo.acp.translation.prompts import Said
from diminuendo.domain.ids import make_session_id
from diminuendo.domain.sessions import SessionState
from diminuendo.storage.registry import Registry, SessionRecord
from podium.client import PodiumClient, PodiumConnectionError
from podium.wire.ids import ENTROPY_BYTES

TENANT: Final = "local"
"""Whose list it is: there is one person."""


class LocalKeeper:
    """A `Keeper`. `deployment` is what new sessions run: an agent type, or any reference to a deployment."""

    def __init__(self, registry: Registry, podium: PodiumClient, deployment: str) -> None:
        self.podium = podium
        self._registry = registry
        self._deployment = deployment
        self._agent_type = deployment.partition(":")[0]

    async def create(self, cwd: str) -> SessionView:
        """See `Keeper`."""
        session_id = make_session_id(os.urandom(ENTROPY_BYTES))
        return _view(self._registry.create(session_id, self._agent_type, TENANT, metadata={"acp": {"cwd": cwd}}))

    async def sessions(self) -> list[SessionView]:
        """See `Keeper`: those with agents of this type."""
        return [_view(record) for record in self._registry.sessions() if record.agent_type == self._agent_type]

    async def find(self, session_id: str) -> SessionView:
        """See `Keeper`."""
        record = self._registry.find(session_id)
        if record is None or record.agent_type != self._agent_type:
            raise RpcError(NOT_FOUND, f"there is no session {session_id!r} with a {self._agent_type}")
        return _view(record)

    async def rename(self, session_id: str, title: str) -> None:
        """See `Keeper`."""
        self._registry.rename(session_id, title)

    async def delete(self, session: SessionView) -> None:
        """See `Keeper`."""
        await erase(self.podium, session.agent_id)
        self._registry.delete(session.session_id)

    async def discard(self, session: SessionView) -> None:
        """See `Keeper`."""
        with suppress(PodiumConnectionError):
            await erase(self.podium, session.agent_id)
        self._registry.delete(session.session_id)

    async def instance(self, session: SessionView) -> str:
        """See `Keeper`."""
        return await instance_of(self.podium, self._deployment, session.agent_id)

    async def config(self) -> Mapping[str, Any]:
        """See `Keeper`."""
        return await newest_config(self.podium, self._agent_type)

    async def run_turn(self, session: SessionView, instance_id: str, said: Said) -> str:
        """See `Keeper`."""
        accepted = await self.podium.instances.send(instance_id, said.text, said.metadata)
        self._registry.enter(session.session_id, SessionState.READY, instance_id)  # it was used just now
        return accepted.turn_id


def _view(record: SessionRecord) -> SessionView:
    return SessionView(
        record.session_id,
        record.agent_type,
        record.agent_id,
        cwd_of(record.metadata),
        record.name,
        record.updated_at,
    )
