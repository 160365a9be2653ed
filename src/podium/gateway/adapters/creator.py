"""Creating an instance: resolve, claim, place, hand over to a coordinator; the same once or ten times."""

import asyncio
import secrets
from typing import Final

from podium.base.discovery.port import LEASE_TTL_SECONDS
from podium.base.http import Call
from podium.gateway.adapters.coordinators import (
    FIRST_ERROR_STATUS,
    NotConnectedError,
    Request,
    decode,
    refusal,
)
from podium.gateway.adapters.once import Claimed, once
from podium.gateway.domain.creation import (
    Layers,
    Plan,
    check_agent,
    check_create,
    check_idempotency_key,
    coordinator_request,
    existing,
    fingerprint,
)
from podium.gateway.domain.placement import PLACEMENT_TRIES, choose
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError, as_json
from podium.wire.limits import CREATE_TIMEOUT_SECONDS
from podium.wire.rest import Instance, InstanceCreate

_TRY_ANOTHER: Final = frozenset(
    {ErrorCode.NO_COORDINATOR_AVAILABLE, ErrorCode.DRAINING, ErrorCode.WORKSPACE_UNAVAILABLE}
)
"""Refusals after which another coordinator may take the instance: this one has done nothing, or undone it."""

HELD_SECONDS: Final = LEASE_TTL_SECONDS + 5.0
"""How long a create waits for an agent to be let go: a lease runs out within its TTL, and a holder that lives has told by then."""


class Creator:
    """Answers create calls."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, call: Call) -> tuple[Instance, bool]:
        """The instance, and whether it was made now (False: the agent was alive with the same deployment).

        Raises:
            PodiumError: see the route.
        """
        try:
            async with asyncio.timeout(CREATE_TIMEOUT_SECONDS):
                return await self._create(call)
        except TimeoutError as error:
            raise PodiumError(ErrorCode.AGENT_TIMEOUT, "the agent was not ready in time", retry_after=1.0) from error

    async def _create(self, call: Call) -> tuple[Instance, bool]:
        check_create(call.body)
        key = call.headers.get("idempotency-key")
        if key is not None:
            check_idempotency_key(key)
        plan = await self._plan(call)
        if key is None:
            return await self._make(call, plan)
        claimed = Claimed(plan.tenant_id, key, fingerprint(call.body), plan)
        return await once(self._parts.discovery, claimed, lambda kept: self._make(call, kept), Instance)

    async def _plan(self, call: Call) -> Plan:
        wanted: InstanceCreate = call.body
        deployment = await self._parts.resolver.deployment(call.identity, wanted.deployment_id)
        return Plan(
            instance_id=self._parts.new_id("inst"),
            agent_id=wanted.agent_id or self._parts.new_id("agt"),
            tenant_id=call.identity.tenant_id or deployment.tenant_id,
            deployment=deployment.public(),
        )

    async def _make(self, call: Call, plan: Plan) -> tuple[Instance, bool]:
        """Waits while the agent is held by a host that nobody knows an instance of it on: one that died while it made it, or is
        just letting go. After that its lease has run out, or its instance is known."""
        loop = asyncio.get_running_loop()
        end = loop.time() + HELD_SECONDS
        while True:
            try:
                return await self._make_now(call, plan)
            except PodiumError as error:
                if error.code is not ErrorCode.AGENT_IN_USE or error.retry_after is None or loop.time() >= end:
                    raise
                await asyncio.sleep(error.retry_after)

    async def _make_now(self, call: Call, plan: Plan) -> tuple[Instance, bool]:
        deployment = plan.deployment
        agent = await self._parts.resolver.agent_or_none(call.identity, plan.agent_id, plan.tenant_id)
        home: str | None = None
        if agent is not None:
            check_agent(agent, deployment.agent_type)
            home = await self._home(agent.coordinator_id)
            newest = await self._parts.discovery.instance(agent.instance_id) if agent.instance_id else None
            if newest is not None and newest.instance_id != plan.instance_id:
                found = existing(newest, deployment.deployment_id)
                if found is not None:
                    return found, False
        await self._parts.quotas.take_instance(plan.tenant_id, call.identity.limits)
        body = as_json(coordinator_request(plan, call.body, await self._layers(plan)))
        return await self._place(call, body, home), True

    async def _home(self, coordinator_id: str | None) -> str | None:
        """The only coordinator that will do: the one that has the agent's data, unless it is gone and others have a replica."""
        known = await self._parts.coordinators.all(fresh=True)
        there = any(each.coordinator_id == coordinator_id and each.state == "active" for each in known)
        return None if not there and any(each.replicated for each in known) else coordinator_id

    async def _layers(self, plan: Plan) -> Layers:
        discovery, agent_type = self._parts.discovery, plan.deployment.agent_type
        sealed = await discovery.secrets(plan.tenant_id, agent_type)
        opened = self._parts.vault.open_all(sealed) if sealed is not None else {}
        return Layers(self._parts.options.agent_environment, opened, (await discovery.config()).config)

    async def _place(self, call: Call, body: bytes, home: str | None) -> Instance:
        """Asks coordinators until one takes the instance, `PLACEMENT_TRIES` at most."""
        tried: set[str] = set()
        failure: PodiumError | None = None
        while len(tried) < PLACEMENT_TRIES:
            try:
                known = await self._parts.coordinators.all(fresh=True)
                coordinator = choose(known, secrets.randbelow, home=home, tried=tried)
            except PodiumError as none_left:
                raise failure or none_left from None
            tried.add(coordinator.coordinator_id)
            request = Request(
                "POST", "/instances", call.identity, call.request_id, body, _JSON, seconds=CREATE_TIMEOUT_SECONDS
            )
            try:
                reply = await self._parts.coordinators.call(coordinator, request)
            except NotConnectedError as error:
                failure = error
                continue
            if reply.status < FIRST_ERROR_STATUS:
                return decode(reply, Instance)
            failure = refusal(reply)
            if failure.code not in _TRY_ANOTHER:
                break
        assert failure is not None
        raise failure


_JSON: Final = {"content-type": "application/json"}
