"""Moments of whole agents: list, fork, go back."""

import builtins
from collections.abc import AsyncIterator
from typing import Final
from uuid import uuid4

from podium.client.call import CREATE_SECONDS, Call, api_path, read_as
from podium.client.errors import PodiumConnectionError
from podium.client.pages import read_pages
from podium.client.transport import Transport
from podium.wire.errors import ErrorCode, PodiumError, as_json
from podium.wire.files import CheckpointList, FileDifference, WorkspaceDiff
from podium.wire.ids import is_made_id
from podium.wire.limits import PAGE_MAX
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

    async def fork(
        self,
        agent_id: str,
        at: MomentRef | None = None,
        new_agent_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Forked:
        """Makes an agent that begins as this one was; its instance is asleep. Without `at`: as it is now.

        Repeating it after a lost answer gives the same agent: every call carries an `Idempotency-Key`.
        """
        body = {name: value for name, value in (("at", at), ("agent_id", new_agent_id)) if value is not None}
        path = api_path("agents", agent_id, "fork")
        headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
        call = Call("fork", "POST", path, as_json(body), headers=headers, seconds=CREATE_SECONDS)
        return read_as(Forked, await self._transport.send(call), call)

    async def rewind(self, agent_id: str, at: MomentRef, *, cancel: bool = False) -> Rewound:
        """Takes the agent back. `cancel`: a turn that runs or waits is cancelled first; else it is in the way."""
        path = api_path("agents", agent_id, "rewind", query={"cancel": cancel or None})
        call = Call("rewind", "POST", path, as_json({"at": at}), seconds=REWIND_SECONDS, repeatable=False)
        return read_as(Rewound, await self._transport.send(call), call)

    async def iteration(self, agent_id: str, name: str) -> int:
        """The iteration of the files that a name means: a number, a turn's id (its end), or a checkpoint's label.

        Raises:
            PodiumConnectionError: `turn_not_found`, `iteration_not_found`.
        """
        if name.isascii() and name.isdigit():
            return int(name)
        if is_made_id("turn", name):
            return (await self.get(agent_id, name)).iteration
        path = api_path("agents", agent_id, "workspace", "checkpoints", query={"limit": PAGE_MAX})
        call = Call("list_checkpoints", "GET", path)
        named = read_as(CheckpointList, await self._transport.send(call), call).checkpoints
        found = next((checkpoint.iteration for checkpoint in named if checkpoint.label == name), None)
        if found is None:
            problem = PodiumError(ErrorCode.ITERATION_NOT_FOUND, f"there is no turn and no checkpoint {name!r}")
            raise PodiumConnectionError("list_checkpoints", problem, status=problem.mapping.status)
        return found

    async def diff(self, agent_id: str, before: int, after: int | None = None, path: str = "") -> str:
        """What changed in the files between two iterations (to now when `after` is None), as a unified diff."""
        call = self._diff(agent_id, before, after, path)
        answer = await self._transport.send(call._replace(headers={"Accept": "text/x-diff"}))
        return answer.body.decode("utf-8", "replace")

    async def differences(
        self, agent_id: str, before: int, after: int | None = None, path: str = ""
    ) -> builtins.list[FileDifference]:
        """The same as records, by path."""
        found: builtins.list[FileDifference] = []
        cursor: str | None = None
        while True:
            call = self._diff(agent_id, before, after, path, cursor)
            page = read_as(WorkspaceDiff, await self._transport.send(call), call)
            found += page.differences
            cursor = page.next_cursor
            if cursor is None:
                return found

    @staticmethod
    def _diff(agent_id: str, before: int, after: int | None, path: str, cursor: str | None = None) -> Call:
        query = {"from": before, "to": after, "path": path or None, "limit": PAGE_MAX, "cursor": cursor}
        return Call("diff", "GET", api_path("agents", agent_id, "workspace", "diff", query=query))
