"""The sessions of one person on one machine, which `podium acp` keeps: a list of them on a `Shelf`, the rest is Podium's.

Any number of processes use the same list at once. A session belongs to none of them: Podium runs its turns one at a time, and
whoever has it open sees all of them.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from diminuendo.acp.keeper import SessionView, erase, instance_of, newest_config
from diminuendo.acp.rpc.messages import NOT_FOUND, RpcError
from diminuendo.acp.shelf import Shelf
from diminuendo.acp.translation.prompts import Said
from diminuendo.domain.ids import make_session_id
from podium.base.clock import Clock
from podium.client import PodiumClient, PodiumConnectionError
from podium.wire.ids import ENTROPY_BYTES


class LocalKeeper:
    """A `Keeper`. `deployment` is what new sessions run: an agent type, or any reference to a deployment. `shelf` holds the sessions
    with agents of this type."""

    def __init__(self, shelf: Shelf, podium: PodiumClient, deployment: str, clock: Clock) -> None:
        self.podium = podium
        self._shelf = shelf
        self._deployment = deployment
        self._clock = clock

    async def create(self, cwd: str) -> SessionView:
        """See `Keeper`."""
        session_id = make_session_id(os.urandom(ENTROPY_BYTES))
        agent_type = self._deployment.partition(":")[0]
        view = SessionView(session_id, agent_type, session_id, cwd, "", self._clock.now_ms())
        self._shelf.put(view)
        return view

    async def sessions(self) -> list[SessionView]:
        """See `Keeper`."""
        return self._shelf.all()

    async def find(self, session_id: str) -> SessionView:
        """See `Keeper`."""
        view = self._shelf.find(session_id)
        if view is None:
            raise RpcError(NOT_FOUND, f"there is no session {session_id!r}")
        return view

    async def rename(self, session_id: str, title: str) -> None:
        """See `Keeper`."""
        self._shelf.put((await self.find(session_id))._replace(title=title))

    async def delete(self, session: SessionView) -> None:
        """See `Keeper`."""
        await erase(self.podium, session.agent_id)
        self._shelf.remove(session.session_id)

    async def discard(self, session: SessionView) -> None:
        """See `Keeper`."""
        with suppress(PodiumConnectionError):
            await erase(self.podium, session.agent_id)
        self._shelf.remove(session.session_id)

    async def instance(self, session: SessionView) -> str:
        """See `Keeper`."""
        return await instance_of(self.podium, self._deployment, session.agent_id)

    async def config(self) -> Mapping[str, Any]:
        """See `Keeper`."""
        return await newest_config(self.podium, self._deployment.partition(":")[0])

    async def run_turn(self, session: SessionView, instance_id: str, said: Said) -> str:
        """See `Keeper`."""
        accepted = await self.podium.instances.send(instance_id, said.text, said.metadata)
        known = self._shelf.find(session.session_id) or session
        self._shelf.put(known._replace(updated_at=self._clock.now_ms()))
        return accepted.turn_id
