"""Files and workspaces of instances and agents. The coordinator that has them answers; bytes pass through, both ways."""

from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import quote

from podium.base.file_routes import Place, file_endpoints
from podium.base.http import Answer, Call, Endpoint, Streamed
from podium.base.http.endpoint import Handler
from podium.gateway.api.agents import AGENT
from podium.gateway.api.instances import INSTANCE
from podium.gateway.api.passing import Passing
from podium.gateway.parts import Parts
from podium.wire.errors import ErrorCode, PodiumError

_REACH: Final = (ErrorCode.COORDINATOR_UNREACHABLE, ErrorCode.DRAINING, ErrorCode.AGENT_TIMEOUT)

_INSTANCES: Final = Place("/api/v1/instances/{instance_id}", "instance_id", INSTANCE, errors=_REACH)
_AGENTS: Final = Place(
    "/api/v1/agents/{agent_id}", "agent_id", AGENT, operation=lambda name: f"{name}_of_agent", errors=_REACH
)


class Files:
    """Routes of files."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._passing = Passing(parts.coordinators)

    def endpoints(self) -> list[Endpoint]:
        """The routes, below instances and below agents."""
        of_instances = file_endpoints(_INSTANCES, self._handler(_INSTANCES))
        return [*of_instances, *file_endpoints(_AGENTS, self._handler(_AGENTS))]

    def _handler(self, place: Place) -> Callable[[str], Handler]:
        """Every route is passed on the same way."""
        return lambda _name: partial(self._pass_on, place)

    async def _pass_on(self, place: Place, call: Call) -> Answer | Streamed:
        if place is _INSTANCES:
            instance = await self._parts.resolver.present_instance(call.identity, call.path["instance_id"])
            coordinator, base = await self._parts.homes.of_instance(instance), f"/agent/{instance.instance_id}"
        else:
            agent = await self._parts.resolver.agent(call.identity, call.path["agent_id"])
            if agent.coordinator_id is None:
                raise PodiumError(ErrorCode.FILE_NOT_FOUND, "the agent has no workspace yet")
            coordinator, base = await self._parts.homes.of_agent(agent), f"/agents/{agent.agent_id}"
        return await self._passing.on(call, coordinator, base + _tail(place, call))


def _tail(place: Place, call: Call) -> str:
    """The rest of the route with its parameters; every slash of a path is encoded, so that it can only be read one way."""
    tail = call.endpoint.path.removeprefix(place.prefix)
    for name in ("path", "iteration"):
        if f"{{{name}}}" in tail:
            value = str(call.path[name]).encode("utf-8", "surrogateescape")
            tail = tail.replace(f"{{{name}}}", quote(value, safe=""), 1)
    return tail
