"""Reads: conversation, journal, log, state, requests. A sleeping agent is read without being woken."""

from typing import Any

import msgspec

from podium.base.http import Call, Streamed, event_stream
from podium.coordinator.adapters.store import RequestRow, StoreConflictError
from podium.coordinator.api.following import journal_as_sse, log_as_sse
from podium.coordinator.api.lookup import Lookup
from podium.coordinator.api.queries import number_of
from podium.coordinator.supervisor.showing import certain, visible
from podium.wire.envelope import EventRow
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.rest import ConversationMessage, LogPage, Page, PendingRequest

EVENT_STREAM = "text/event-stream"


class _RawJournalEvent(msgspec.Struct, frozen=True, rename="camel"):
    """`JournalEvent` with its content passed through unparsed."""

    message_type: str
    content: msgspec.Raw
    agent_id: str
    instance_id: str
    turn_id: str
    seq: int
    ts: int


class _RawStateView(msgspec.Struct, frozen=True):
    """`StateView` with the state passed through unparsed."""

    version: int
    state: msgspec.Raw
    state_schema: int | None


class Reads:
    """Handlers that only read."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def list_messages(self, call: Call) -> Page[ConversationMessage]:
        """The conversation, oldest first."""
        instance = self._lookup.known(call)
        after = number_of(call.query.cursor, 0)
        await certain(instance)
        with instance.reading() as store:
            newest = visible(instance, store).seq
            items = [each for each in store.conversation(call.query.limit, after=after) if each.seq <= newest]
        return Page(items, str(items[-1].seq) if len(items) == call.query.limit else None)

    async def list_events(self, call: Call) -> dict[str, Any] | Streamed:
        """The journal: a page, or with `Accept: text/event-stream` all of it and what follows."""
        instance = self._lookup.known(call)
        after = number_of(call.query.cursor, call.query.after)
        if call.headers.accepts(EVENT_STREAM):
            return event_stream(journal_as_sse(instance, number_of(call.headers.get("last-event-id"), after)))
        await certain(instance)
        with instance.reading() as store:
            rows = store.events(after, call.query.limit, visible(instance, store).seq)
        items = [_journal_event(instance.facts.agent_id, row) for row in rows]
        return {"items": items, "next_cursor": str(rows[-1].seq) if len(rows) == call.query.limit else None}

    async def read_logs(self, call: Call) -> LogPage | Streamed:
        """The log: a page, or (`follow`) what is logged from now on."""
        instance, query = self._lookup.known(call), call.query
        if query.follow or call.headers.accepts(EVENT_STREAM):
            after_id = call.headers.get("last-event-id")
            with instance.reading() as store:
                start = number_of(after_id, 0) if after_id or query.offset is not None else _last_id(store)
            return event_stream(log_as_sse(instance, query.level, start))
        offset = number_of(query.cursor, query.offset or 0)
        with instance.reading() as store:
            items = store.logs(query.level, query.limit, offset=offset)
            total = store.count_logs(query.level)
        following = offset + len(items)
        return LogPage(items, str(following) if items and following < total else None, total)

    async def read_state(self, call: Call) -> _RawStateView:
        """The state, now or at an older version."""
        instance = self._lookup.known(call)
        await certain(instance)
        with instance.reading() as store:
            newest = visible(instance, store).version
            wanted = newest if call.query.version is None else call.query.version
            try:
                if wanted > newest:
                    raise StoreConflictError("state", f"there is no version {wanted} yet")
                row = store.state(wanted)
            except StoreConflictError as error:
                raise PodiumError(ErrorCode.VERSION_NOT_FOUND, f"the newest version is {newest}") from error
        return _RawStateView(row.version, msgspec.Raw(row.data), row.schema)

    async def list_requests(self, call: Call) -> Page[PendingRequest]:
        """Questions and permissions, oldest first."""
        instance, query = self._lookup.known(call), call.query
        await certain(instance)
        with instance.reading() as store:
            newest = visible(instance, store).seq
            found = store.requests(query.status, query.limit, after=number_of(query.cursor, 0))
            rows = [row for row in found if row.seq <= newest]
        return Page([pending_request(row) for row in rows], str(rows[-1].seq) if len(rows) == query.limit else None)


def pending_request(row: RequestRow) -> PendingRequest:
    """A request as REST shows it."""
    return PendingRequest(
        request_id=row.request_id,
        kind=row.kind,
        turn_id=row.turn_id,
        status=row.status,
        content=msgspec.json.decode(row.content),
        created_at=row.created_at,
        seq=row.seq,
        expires_at=row.expires_at,
        outcome=row.outcome,
        option_id=row.option_id,
        answers=row.answers,
        by=row.by,
        resolved_at=row.resolved_at,
    )


def _journal_event(agent_id: str, row: EventRow) -> _RawJournalEvent:
    content = msgspec.Raw(row.content or b"{}")
    return _RawJournalEvent(row.type, content, agent_id, row.instance_id, row.turn_id, row.seq, row.ts)


def _last_id(store: Any) -> int:
    total = store.count_logs(None)
    last = store.logs(None, 1, offset=max(total - 1, 0))
    return last[0].id if last else 0
