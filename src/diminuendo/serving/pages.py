"""Stored things as clients get them, in pages that fit a message."""

from collections.abc import Sequence
from typing import Final

import msgspec

from diminuendo.protocol.answers import HistoryMessage, Session
from diminuendo.protocol.limits import MESSAGE_MAX_BYTES
from diminuendo.storage.registry import SessionRecord

HISTORY_RECENT: Final = 50
"""Messages of the conversation in a snapshot; `get_history` has the others."""

PAGE_MAX_BYTES: Final = MESSAGE_MAX_BYTES // 2
"""Text of a page: JSON may need more bytes than the text has, and other fields need some."""


def session_of(record: SessionRecord) -> Session:
    """A session as clients see it."""
    return Session(
        session_id=record.session_id,
        agent_type=record.agent_type,
        agent_id=record.agent_id,
        name=record.name,
        state=record.state.value,
        archived=record.archived,
        created_by=record.created_by,
        created_at=record.created_at,
        updated_at=record.updated_at,
        metadata=record.metadata,
    )


def first_fitting(sessions: Sequence[Session]) -> list[Session]:
    """The first of `sessions`, as many as fit a page, but at least one."""
    size = 0
    for count, session in enumerate(sessions):
        size += len(_ENCODER.encode(session))
        if size > PAGE_MAX_BYTES and count:
            return list(sessions[:count])
    return list(sessions)


def fitting(messages: Sequence[HistoryMessage]) -> list[HistoryMessage]:
    """The newest of `messages`, as many as fit a page, but at least one."""
    size = 0
    for count, message in enumerate(reversed(messages)):
        size += len(message.text.encode("utf-8", "surrogatepass"))
        if size > PAGE_MAX_BYTES and count:
            return list(messages[len(messages) - count :])
    return list(messages)


_ENCODER: Final = msgspec.json.Encoder()
