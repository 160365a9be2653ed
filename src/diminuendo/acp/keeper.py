"""Who keeps the sessions, as ACP sees it, and what is done with an agent through Podium.

Access is checked where a session is found and with each message: who has a session open may stop its turns and answer its agent.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from diminuendo.acp.translation.prompts import Said
from podium.client import PodiumClient, PodiumConnectionError
from podium.wire.commands import AnswerContent
from podium.wire.errors import ErrorCode
from podium.wire.rest import InstanceCreate, RequestAnswer


class SessionView(NamedTuple):
    """A session. `updated_at` is epoch milliseconds; `cwd` is the editor's directory it was opened for."""

    session_id: str
    agent_type: str
    agent_id: str
    cwd: str
    title: str
    updated_at: int


class Keeper(Protocol):
    """Raises `PodiumConnectionError`, `ProtocolError`, and `RpcError`, each of which is an error for the client."""

    podium: PodiumClient

    async def create(self, cwd: str) -> SessionView:
        """A new session."""
        ...

    async def sessions(self) -> list[SessionView]:
        """All this client may open, the one used last first."""
        ...

    async def find(self, session_id: str) -> SessionView:
        """One of them."""
        ...

    async def rename(self, session_id: str, title: str) -> None:
        """Gives it a title."""
        ...

    async def delete(self, session: SessionView) -> None:
        """Ends it for good: its agent with all it has."""
        ...

    async def discard(self, session: SessionView) -> None:
        """Forgets a session nobody has seen; its agent is erased if that can be done now. Raises nothing."""
        ...

    async def instance(self, session: SessionView) -> str:
        """The instance of its agent; made when there is none."""
        ...

    async def config(self) -> Mapping[str, Any]:
        """The configuration of an agent such as a new session gets, as far as one is known."""
        ...

    async def run_turn(self, session: SessionView, instance_id: str, said: Said) -> str:
        """Hands a message to the agent; the id of its turn, when it is durable."""
        ...


def cwd_of(metadata: Mapping[str, Any]) -> str:
    """The editor's directory that a session's metadata name; the root for a session no editor made."""
    acp = metadata.get("acp")
    cwd = acp.get("cwd") if isinstance(acp, dict) else None
    return cwd if isinstance(cwd, str) and cwd.startswith("/") else "/"


# ── with Podium, whoever keeps the sessions ──────────────────────────────────────────────────────────────────


async def instance_of(podium: PodiumClient, deployment: str, agent_id: str) -> str:
    """The instance of an agent: the living one whatever code it runs, else a new one of `deployment`.

    Raises:
        PodiumConnectionError: there is none, and none could be made.
    """
    try:
        return (await podium.instances.create(InstanceCreate(deployment, agent_id=agent_id))).instance_id
    except PodiumConnectionError as error:
        if error.code is not ErrorCode.AGENT_IN_USE:
            raise
        found = (await podium.agents.get(agent_id)).instance_id
        if found is None:
            raise
        return found


async def newest_config(podium: PodiumClient, agent_type: str) -> Mapping[str, Any]:
    """The configuration of the newest living instance of a type; nothing when there is none."""
    async for instance in podium.instances.list(agent_type=agent_type, limit=1):
        return (await podium.instances.get(instance.instance_id)).config
    return {}


async def stop_turn(podium: PodiumClient, instance_id: str, turn_id: str) -> None:
    """Ends a turn; one that is over is fine."""
    try:
        await podium.instances.cancel(instance_id, turn_id)
    except PodiumConnectionError as error:
        if error.code not in (ErrorCode.NO_TURN, ErrorCode.TURN_NOT_FOUND):
            raise


async def answer_agent(podium: PodiumClient, instance_id: str, given: AnswerContent) -> None:
    """Answers a request; one that is resolved already is fine."""
    body = RequestAnswer(option_id=given.option_id, answers=given.answers, dismissed=given.dismissed)
    try:
        await podium.instances.answer(instance_id, given.request_id, body)
    except PodiumConnectionError as error:
        if error.code not in (ErrorCode.ALREADY_RESOLVED, ErrorCode.REQUEST_NOT_FOUND):
            raise


async def stop_agent(podium: PodiumClient, agent_id: str) -> None:
    """Stops an agent's instance, if it has one."""
    instance_id = (await podium.agents.get(agent_id)).instance_id
    if instance_id is not None:
        await podium.stop_instance(instance_id)


async def erase(podium: PodiumClient, agent_id: str) -> None:
    """Stops an agent's instance and erases the agent; one that never was is fine."""
    try:
        await stop_agent(podium, agent_id)
        await podium.agents.remove(agent_id)
    except PodiumConnectionError as error:
        if error.code is not ErrorCode.AGENT_NOT_FOUND:
            raise
