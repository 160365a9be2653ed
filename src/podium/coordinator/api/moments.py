"""Moments of agents over REST: listed, forked, gone back to."""

from typing import Any

import msgspec

from podium.base.http import CLUSTER, Answer, Call, Endpoint, Param
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.api.queries import PageQuery, number_of
from podium.coordinator.supervisor import moments
from podium.wire import rest
from podium.wire.errors import ErrorCode
from podium.wire.moments import CoordinatorFork, Forked, Moment, RewindRequest, Rewound

_AGENT = Param(rest.AgentId, ErrorCode.AGENT_NOT_FOUND)


class MomentsQuery(PageQuery, frozen=True):
    """A page of moments, newest first; `at`: only the one that is meant by it."""

    at: str | None = None


class RewindQuery(msgspec.Struct, frozen=True):
    """`cancel`: a turn that runs or waits is cancelled."""

    cancel: bool = False


class Moments:
    """Handlers about moments."""

    def __init__(self, lookup: Lookup) -> None:
        self._supervisor = lookup.supervisor

    async def list_moments(self, call: Call) -> rest.Page[Moment]:
        """The moments an agent can be forked at or taken back to, newest first."""
        query: MomentsQuery = call.query
        instance = moments.resident(self._supervisor, call.path["agent_id"], call.identity.tenant_id)
        if query.at is not None:
            at = int(query.at) if query.at.isascii() and query.at.isdigit() and len(query.at) < 17 else query.at
            return rest.Page([moments.shown(await moments.find(instance, at))])
        with instance.reading() as store:
            before = number_of(query.cursor, store.head_seq + 1)
            items = store.moments.page(before, query.limit)
        return rest.Page(items, str(items[-1].seq) if len(items) == query.limit else None)

    async def fork(self, call: Call) -> Answer:
        """Makes an agent that begins as this one was."""
        source_id, identity = call.path["agent_id"], call.identity
        instance, moment = await self._supervisor.forks.fork(source_id, call.body, identity.tenant_id)
        facts = instance.facts
        return Answer(
            201,
            Forked(
                instance_id=facts.instance_id,
                agent_id=facts.agent_id,
                deployment_id=facts.deployment.deployment_id,
                status=instance.status,
                coordinator_id=self._supervisor.parts.coordinator_id,
                created_at=facts.created_at,
                source_agent_id=source_id,
                moment=moments.shown(moment),
            ),
        )

    async def rewind(self, call: Call) -> Rewound:
        """Takes an agent back."""
        body: RewindRequest = call.body
        return await self._supervisor.rewinds.rewind(
            call.path["agent_id"], body.at, cancel=call.query.cancel, tenant_id=call.identity.tenant_id
        )

    def endpoints(self) -> list[Endpoint]:
        """The routes."""
        agent: dict[str, Any] = {"agent_id": _AGENT}
        return [
            Endpoint(
                method="GET", path="/agents/{agent_id}/moments", handler=self.list_moments, summary="Moments of an agent",
                access=CLUSTER, params=agent, query=MomentsQuery, answers={200: rest.Page[Moment]},
            ),
            Endpoint(
                method="POST", path="/agents/{agent_id}/fork", handler=self.fork, summary="Fork an agent", access=CLUSTER,
                params=agent, body=CoordinatorFork, answers={201: Forked},
            ),
            Endpoint(
                method="POST", path="/agents/{agent_id}/rewind", handler=self.rewind, summary="Take an agent back",
                access=CLUSTER, params=agent, query=RewindQuery, body=RewindRequest, answers={200: Rewound},
            ),
        ]  # fmt: skip
