"""Instances and agents: create, look, talk, stop, over REST."""

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import uuid4

import msgspec

from podium.client.breaker import Breaker
from podium.client.call import CREATE_SECONDS, REQUEST_SECONDS, Call, api_path, read_as
from podium.client.errors import PodiumConnectionError
from podium.client.event import PodiumEvent
from podium.client.pages import read_pages
from podium.client.resilience import GuardedCalls
from podium.client.sse import read_events
from podium.client.transport import Transport
from podium.wire.errors import as_json
from podium.wire.rest import (
    Agent,
    ConversationMessage,
    Instance,
    InstanceCreate,
    InstanceInfo,
    JournalEvent,
    LogPage,
    LogRecord,
    MessageAccepted,
    PendingRequest,
    RequestAnswer,
    StateView,
    TurnResult,
)

TURN_SECONDS: Final = 35 * 60.0
"""How long a waited-for turn may take: the default limit of a turn and a little more."""


class Instances:
    """`/api/v1/instances`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._guarded = GuardedCalls(transport.timing)

    @property
    def circuit(self) -> Breaker:
        """State of the circuit that guards `create`."""
        return self._guarded.state

    async def create(self, wanted: InstanceCreate, idempotency_key: str | None = None) -> Instance:
        """Creates an instance, or continues an agent; answers when it is ready.

        Repeating it after a lost answer gives the same instance: every call carries an `Idempotency-Key`.

        Raises:
            PodiumConnectionError: also at once, without a request, while the circuit is open.
        """
        call = Call(
            "create_instance",
            "POST",
            api_path("instances"),
            as_json(_without_unset(wanted)),
            headers={"Idempotency-Key": idempotency_key or uuid4().hex},
            seconds=CREATE_SECONDS,
        )
        answer = await self._guarded.call(call.operation, lambda: self._transport.send(call))
        return read_as(Instance, answer, call)

    def list(
        self,
        *,
        status: str | None = None,
        agent_type: str | None = None,
        agent_id: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Instance]:
        """Instances that match, newest first."""
        query = {"status": status, "agent_type": agent_type, "agent_id": agent_id, "limit": limit}
        return read_pages(self._transport, "list_instances", ("instances",), Instance, query)

    async def get(self, instance_id: str) -> InstanceInfo:
        """An instance in full."""
        call = _of(instance_id, "get_instance", "GET")
        return read_as(InstanceInfo, await self._transport.send(call), call)

    async def stop(self, instance_id: str) -> None:
        """Stops an instance; one that is gone already is fine."""
        try:
            await self._transport.send(_of(instance_id, "stop_instance", "DELETE", seconds=CREATE_SECONDS))
        except PodiumConnectionError as error:
            if error.status != 404:
                raise

    async def send(self, instance_id: str, text: str, metadata: dict[str, Any] | None = None) -> MessageAccepted:
        """Hands a message over; it is durable when this returns. Repeated after a lost answer, and done once all the same."""
        call = _message(instance_id, text, metadata, "messages")
        return read_as(MessageAccepted, await self._transport.send(call), call)

    async def ask(self, instance_id: str, text: str, metadata: dict[str, Any] | None = None) -> TurnResult:
        """Sends a message and waits for the whole answer."""
        call = _message(instance_id, text, metadata, "messages?wait=true")._replace(seconds=TURN_SECONDS)
        return read_as(TurnResult, await self._transport.send(call), call)

    async def stream(
        self, instance_id: str, text: str, metadata: dict[str, Any] | None = None
    ) -> AsyncIterator[PodiumEvent]:
        """Sends a message and gives its turn's events (server-sent events, no resume: prefer `connect`)."""
        call = _message(instance_id, text, metadata, "messages")
        async for event in self._sse(call):
            yield event

    def messages(self, instance_id: str, limit: int | None = None) -> AsyncIterator[ConversationMessage]:
        """The conversation, oldest first."""
        path = ("instances", instance_id, "messages")
        return read_pages(self._transport, "list_messages", path, ConversationMessage, {"limit": limit})

    def events(self, instance_id: str, after: int = 0, limit: int | None = None) -> AsyncIterator[JournalEvent]:
        """The journal after `after`, as far as it is now."""
        path = ("instances", instance_id, "events")
        return read_pages(self._transport, "list_events", path, JournalEvent, {"after": after, "limit": limit})

    async def logs(self, instance_id: str, level: str | None = None, limit: int = 100, offset: int = 0) -> LogPage:
        """Log records, oldest first."""
        query = {"level": level, "limit": limit, "offset": offset}
        call = _of(instance_id, "read_logs", "GET", "logs", query=query)
        return read_as(LogPage, await self._transport.send(call), call)

    async def follow_logs(self, instance_id: str, level: str | None = None) -> AsyncIterator[LogRecord]:
        """Log records from now on, until the caller stops or the instance is over."""
        call = _of(instance_id, "follow_logs", "GET", "logs", query={"level": level, "follow": True})
        call = call._replace(headers={"Accept": "text/event-stream"})
        async with self._transport.follow(call) as lines:
            async for event in read_events(lines):
                yield msgspec.json.decode(event.data, type=LogRecord)

    async def state(self, instance_id: str, version: int | None = None) -> StateView:
        """The state, now or at an older version."""
        call = _of(instance_id, "read_state", "GET", "state", query={"version": version})
        return read_as(StateView, await self._transport.send(call), call)

    def requests(self, instance_id: str) -> AsyncIterator[PendingRequest]:
        """Questions and permissions of the agent."""
        path = ("instances", instance_id, "requests")
        return read_pages(self._transport, "list_requests", path, PendingRequest, {})

    async def answer(self, instance_id: str, request_id: str, answer: RequestAnswer) -> None:
        """Resolves a question or permission; the first answer wins."""
        body = as_json(_without_unset(answer))
        call = _of(instance_id, "answer", "POST", "requests", request_id)._replace(body=body, repeatable=False)
        await self._transport.send(call)

    async def cancel(self, instance_id: str, turn_id: str) -> None:
        """Ends a running turn."""
        await self._transport.send(_of(instance_id, "cancel_turn", "POST", "turns", turn_id, "cancel"))

    async def _sse(self, call: Call) -> AsyncIterator[PodiumEvent]:
        async with self._transport.follow(call._replace(headers={"Accept": "text/event-stream"})) as lines:
            async for event in read_events(lines):
                yield msgspec.json.decode(event.data, type=PodiumEvent)


class Agents:
    """`/api/v1/agents`: durable identities."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, limit: int | None = None) -> AsyncIterator[Agent]:
        """Agents by id, alive or not."""
        return read_pages(self._transport, "list_agents", ("agents",), Agent, {"limit": limit})

    async def get(self, agent_id: str) -> Agent:
        """One agent."""
        call = Call("get_agent", "GET", api_path("agents", agent_id))
        return read_as(Agent, await self._transport.send(call), call)

    async def remove(self, agent_id: str) -> None:
        """Erases an agent that has no instance alive: state, messages, logs, workspace."""
        await self._transport.send(Call("remove_agent", "DELETE", api_path("agents", agent_id)))


def _of(
    instance_id: str,
    operation: str,
    method: str,
    *parts: str,
    query: dict[str, Any] | None = None,
    seconds: float = REQUEST_SECONDS,
) -> Call:
    path = api_path("instances", instance_id, *parts, query=query)
    return Call(operation, method, path, seconds=seconds, instance_id=instance_id)


def _message(instance_id: str, text: str, metadata: dict[str, Any] | None, route: str) -> Call:
    path = f"{api_path('instances', instance_id)}/{route}"
    body = as_json({**(metadata or {}), "text": text})
    headers = {"Idempotency-Key": uuid4().hex}  # the id of the command: however often it arrives, it is done once
    return Call("send_message", "POST", path, body, headers=headers, instance_id=instance_id)


def _without_unset(value: msgspec.Struct) -> dict[str, Any]:
    given = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: item for name, item in given.items() if item is not None and item is not False}
