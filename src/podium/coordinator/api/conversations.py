"""What clients tell an instance over REST: messages, cancels, answers, configuration."""

import asyncio
from typing import Any, Final

import msgspec

from podium.base.http import Answer, Call, Streamed, event_stream
from podium.coordinator.api.following import turn_as_sse
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.api.queries import number_of
from podium.coordinator.api.reads import EVENT_STREAM, pending_request
from podium.coordinator.supervisor.commands import Incoming
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import settled
from podium.wire.commands import Ack, AnswerContent, ConfigContent, check_answer
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import IDEMPOTENCY_KEY_MAX_CHARS
from podium.wire.link import Origin
from podium.wire.rest import MessageAccepted, PendingRequest, TurnResult

WAIT_SECONDS: Final = 60 * 60.0
"""Longest `?wait=true`; the turn goes on, and its events tell how it ends."""

_FIELDS: Final = frozenset({"on_busy"})
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Conversations:
    """Handlers that change something in an instance."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def send_message(self, call: Call) -> Answer | Streamed:
        """Hands a message over; answers when it is durable, when its turn is over (`wait`), or with its events (SSE)."""
        instance = self._lookup.alive(call)
        self._check_awake(instance)
        data = {key: value for key, value in _OBJECT.decode(call.raw).items() if key not in _FIELDS}
        identity = call.identity
        origin = Origin(
            identity.tenant_id or instance.facts.tenant_id, "admin" if identity.is_admin else "user", "rest"
        )
        try:
            ack = instance.commands.send_message(Incoming(data, origin, command_id_of(call), call.body.on_busy))
        finally:
            instance.rest()
        await settled(instance)
        accepted = _accepted(ack)
        if call.headers.accepts(EVENT_STREAM):
            after = number_of(call.headers.get("last-event-id"), accepted.seq - 1)
            return event_stream(turn_as_sse(instance, accepted.turn_id, after))
        if call.query.wait:
            return Answer(200, await wait_for_turn(instance, accepted.turn_id))
        return Answer(202, accepted)

    async def cancel_turn(self, call: Call) -> None:
        """Ends a turn, running or waiting."""
        instance = self._lookup.alive(call)
        try:
            instance.commands.cancel_turn(call.path["turn_id"])
        finally:
            instance.rest()
        await settled(instance)

    async def answer_request(self, call: Call) -> PendingRequest:
        """Resolves a question or permission."""
        instance = self._lookup.alive(call)
        body, request_id = call.body, call.path["request_id"]
        answer = AnswerContent(request_id, body.option_id, body.answers, body.dismissed)
        check_answer(answer)
        try:
            instance.commands.answer(answer, command_id_of(call))
        finally:
            instance.rest()
        await settled(instance)
        with instance.reading() as store:
            row = store.request(request_id)
        if row is None:
            raise PodiumError(ErrorCode.REQUEST_NOT_FOUND, "the agent asked nothing under this request_id")
        return pending_request(row)

    async def update_config(self, call: Call) -> dict[str, Any]:
        """Changes the agent's own layer of the configuration; answers with the whole after it."""
        instance = self._lookup.alive(call)
        body: ConfigContent = call.body
        try:
            instance.commands.update_config(body.changes, command_id_of(call))
        finally:
            instance.rest()
        await settled(instance)
        return {"config": instance.config()}

    def _check_awake(self, instance: Instance) -> None:
        if self._lookup.supervisor.draining and not instance.life.linked:
            raise PodiumError(ErrorCode.DRAINING, "this host is being drained", retry_after=1.0)


def command_id_of(call: Call) -> str | None:
    """The `Idempotency-Key`, which is the id of the command.

    Raises:
        PodiumError: `invalid_request`: it is empty or too long.
    """
    key = call.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= IDEMPOTENCY_KEY_MAX_CHARS:
        raise PodiumError(
            ErrorCode.INVALID_REQUEST, f"Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_MAX_CHARS} characters"
        )
    return key


async def wait_for_turn(instance: Instance, turn_id: str) -> TurnResult:
    """The whole answer of a turn, when it is there.

    Raises:
        PodiumError: `instance_stopping` when the instance ends first, `agent_timeout` after `WAIT_SECONDS`,
            `quota_exceeded` when the agent has spent its budget; its message is kept.
    """
    with instance.reading() as store:
        row = store.turn(turn_id)
    if row is None or row.state in {"queued", "running"}:
        instance.budget.check()
        future = instance.turns.wait(turn_id)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await future
        except TimeoutError:
            raise PodiumError(ErrorCode.AGENT_TIMEOUT, "the turn is not over yet; follow its events") from None
        finally:
            instance.turns.forget(turn_id, future)
    await settled(instance)
    return turn_result(instance, turn_id)


def turn_result(instance: Instance, turn_id: str) -> TurnResult:
    """What a turn that is over answered: the text of its last attempt."""
    with instance.reading() as store:
        row = store.turn(turn_id)
        events = store.turn_events(turn_id)
        usage = store.usage_of(turn_id)
    texts: list[str] = []
    attempt = 0
    failure: str | None = None
    for event in events:
        if event.type == "stream_start":
            started = int(_OBJECT.decode(event.content).get("attempt", 1))
            if started != attempt:
                attempt = started
                texts.clear()
        elif event.type == "stream_end":
            texts.append(str(_OBJECT.decode(event.content).get("text", "")))
        elif event.type == "error":
            failure = str(_OBJECT.decode(event.content).get("message", ""))
    stop_reason = (row.stop_reason if row is not None else None) or "error"
    return TurnResult(turn_id, "".join(texts), stop_reason, usage, failure if stop_reason == "error" else None)


def _accepted(ack: Ack) -> MessageAccepted:
    return MessageAccepted(ack.turn_id or "", ack.message_id or "", ack.seq or 0)
