"""Which instance is meant: an instance id, an agent id, or an agent type."""

from typing import TYPE_CHECKING

from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.ids import is_agent_id, is_agent_type, is_made_id
from podium.wire.status import ALIVE, InstanceStatus

if TYPE_CHECKING:
    from podium.client import PodiumClient
    from podium.wire.rest import Agent


async def instance_named(podium: "PodiumClient", name: str) -> str:
    """The instance id behind `name`: itself, the agent's living instance, or the newest living one of a type.

    Raises:
        PodiumError: `instance_not_found`.
    """
    if is_made_id("inst", name):
        return name
    agent = await _agent(podium, name)
    found = (agent.instance_id if agent is not None else None) or await _of_type(podium, name)
    if found is not None:
        return found
    if agent is not None:
        raise PodiumError(
            ErrorCode.INSTANCE_NOT_FOUND,
            f"agent {name!r} has no instance now; start one: podium create {agent.agent_type} --agent {name}",
        )
    raise PodiumError(
        ErrorCode.INSTANCE_NOT_FOUND, f"{name!r} is no instance, no agent and no agent type with a living instance"
    )


async def newest_agent(podium: "PodiumClient", agent_type: str) -> "Agent | None":
    """The agent of a type that was made last, alive or not."""
    agents = [agent async for agent in podium.agents.list() if agent.agent_type == agent_type]
    return max(agents, key=lambda agent: agent.created_at, default=None)


async def _agent(podium: "PodiumClient", name: str) -> "Agent | None":
    from podium.client import PodiumConnectionError

    if not is_agent_id(name):
        return None
    try:
        return await podium.agents.get(name)
    except PodiumConnectionError as error:
        if error.status == 404:
            return None
        raise


async def _of_type(podium: "PodiumClient", name: str) -> str | None:
    if not is_agent_type(name):
        return None
    async for instance in podium.instances.list(agent_type=name):
        if InstanceStatus(instance.status) in ALIVE:
            return instance.instance_id
    return None
