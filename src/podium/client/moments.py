"""Moments of whole agents: list, fork, go back."""

from collections.abc import AsyncIterator
from typing import Final

from podium.client.call import CREATE_SECONDS, Call, api_path, read_as
from podium.client.pages import read_pages
from podium.client.transport import Transport
from podium.wire.errors import as_json
from podium.wire.moments import Forked, Moment, MomentRef, Rewound
from podium.wire.rest import Page

REWIND_SECONDS: Final = 305.0
"""A rewind answers within the gateway's limit; a little longer for the way."""


class Moments:
    """`/api/v1/agents/{agent_id}/moments`, `/fork`, `/rewind`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, agent_id: str, limit: int | None = None) -> AsyncIterator[Moment]:
        """Moments the agent can be forked at or taken back to, newest first."""
        return read_pages(self._transport, "list_moments", ("agents", agent_id, "moments"), Moment, {"limit": limit})

    async def get(self, agent_id: str, at: MomentRef) -> Moment:
        """The moment `at` means: a turn by its id, or the newest one not after an event by its `seq`."""
        call = Call("get_moment", "GET", api_path("agents", agent_id, "moments", query={"at": at}))
        return read_as(Page[Moment], await self._transport.send(call), call).items[0]

    async def fork(self, agent_id: str, at: MomentRef | None = None, new_agent_id: str | None = None) -> Forked:
        """Makes an agent that begins as this one was; its instance is asleep. Without `at`: as it is now."""
        body = {name: value for name, value in (("at", at), ("agent_id", new_agent_id)) if value is not None}
        path = api_path("agents", agent_id, "fork")
        call = Call("fork", "POST", path, as_json(body), seconds=CREATE_SECONDS, repeatable=False)
        return read_as(Forked, await self._transport.send(call), call)

    async def rewind(self, agent_id: str, at: MomentRef, *, cancel: bool = False) -> Rewound:
        """Takes the agent back. `cancel`: a turn that runs or waits is cancelled first; else it is in the way."""
        path = api_path("agents", agent_id, "rewind", query={"cancel": cancel or None})
        call = Call("rewind", "POST", path, as_json({"at": at}), seconds=REWIND_SECONDS, repeatable=False)
        return read_as(Rewound, await self._transport.send(call), call)
