"""What Diminuendo sends besides the events of `diminuendo.domain.events`. `request_id` is there when the message had one."""

from typing import Any, Final, get_args

import msgspec
from msgspec import UNSET, UnsetType

from diminuendo.domain.events import PermissionRequested, QuestionRequested
from diminuendo.protocol.errors import ProtocolError
from diminuendo.protocol.limits import HEARTBEAT_MS, PROTOCOL_VERSION


class ServerMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """Base of what the server says by itself."""


class AnswerMessage(ServerMessage, frozen=True, kw_only=True):
    """Base of what the server says because of a message."""

    request_id: str | UnsetType = UNSET


class Welcome(ServerMessage, frozen=True, kw_only=True, tag="welcome"):
    """The first message of a connection."""

    protocol_version: int = PROTOCOL_VERSION
    requires_auth: bool


class Connected(ServerMessage, frozen=True, kw_only=True, tag="connected"):
    """The second. `ts` is epoch milliseconds."""

    client_id: str
    heartbeat_interval_ms: int = HEARTBEAT_MS
    ts: int


class Identity(msgspec.Struct, frozen=True, rename="camel"):
    """Who a client is. `email` is empty where nobody told."""

    user_id: str
    email: str
    tenant_id: str
    role: str


class Authenticated(AnswerMessage, frozen=True, kw_only=True, tag="authenticated"):
    """The token is good."""

    identity: Identity


class Error(AnswerMessage, frozen=True, kw_only=True, tag="error"):
    """Something can't be done; only this connection hears it. `code` is one of `diminuendo.protocol.errors.Code`."""

    code: str
    message: str
    retry_after_ms: int | UnsetType = UNSET


class Heartbeat(ServerMessage, frozen=True, kw_only=True, tag="heartbeat"):
    """Every 30 seconds. `ts` is epoch milliseconds."""

    ts: int


class Pong(AnswerMessage, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping`. `ts` is epoch milliseconds."""

    ts: int


class Ack(AnswerMessage, frozen=True, kw_only=True, tag="ack"):
    """What was asked for is done, or on its way. `turn_id`: the turn a `run_turn` became; its message is durable."""

    turn_id: str | UnsetType = UNSET


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """A session as clients see it. Times are epoch milliseconds."""

    session_id: str
    agent_type: str
    agent_id: str
    name: str
    state: str
    archived: bool
    created_by: str
    created_at: int
    updated_at: int
    metadata: dict[str, Any]


class HistoryMessage(msgspec.Struct, frozen=True, rename="camel"):
    """One message of the conversation. `role` is `user` or `assistant`; `stop_reason` is None for a person's message."""

    position: int
    role: str
    text: str
    turn_id: str | None
    ts: int
    stop_reason: str | None = None


class SessionList(AnswerMessage, frozen=True, kw_only=True, tag="session_list"):
    """The tenant's sessions, the one changed last first; at most 1,000, and 512 KiB. `has_more`: there are others; not there, when
    these were all."""

    sessions: list[Session]
    has_more: bool | UnsetType = UNSET


class SessionCreated(AnswerMessage, frozen=True, kw_only=True, tag="session_created"):
    """There is a new session."""

    session: Session


class SessionUpdated(AnswerMessage, frozen=True, kw_only=True, tag="session_updated"):
    """A session was renamed, archived or taken back from the archive."""

    session: Session


class SessionDeleted(AnswerMessage, frozen=True, kw_only=True, tag="session_deleted"):
    """A session is gone."""

    session_id: str


class StateSnapshot(AnswerMessage, frozen=True, kw_only=True, tag="state_snapshot"):
    """A session as it is: the newest of its conversation, the number of its last event, what waits for an answer."""

    session: Session
    recent_history: list[HistoryMessage]
    last_seq: int
    pending: list[QuestionRequested | PermissionRequested]


class History(AnswerMessage, frozen=True, kw_only=True, tag="history"):
    """A page of the conversation, oldest first. `has_more`: there is something before it."""

    session_id: str
    messages: list[HistoryMessage]
    has_more: bool


class Events(AnswerMessage, frozen=True, kw_only=True, tag="events"):
    """A page of events, oldest first, as they were sent. `has_more`: there is something behind it."""

    session_id: str
    events: list[msgspec.Raw]
    last_seq: int
    has_more: bool


class FileList(AnswerMessage, frozen=True, kw_only=True, tag="file_list"):
    """Files of the workspace, as Podium describes them."""

    session_id: str
    files: list[dict[str, Any]]


class FileContent(AnswerMessage, frozen=True, kw_only=True, tag="file_content"):
    """A file, or an earlier version of it. `encoding` is `utf-8` or `base64`."""

    session_id: str
    path: str
    content: str
    encoding: str
    iteration: int | None = None


class FileVersions(AnswerMessage, frozen=True, kw_only=True, tag="file_history"):
    """The versions of a file, as Podium describes them."""

    session_id: str
    path: str
    versions: list[dict[str, Any]]


class Member(msgspec.Struct, frozen=True, rename="camel"):
    """A member of the tenant."""

    user_id: str
    role: str


class MemberList(AnswerMessage, frozen=True, kw_only=True, tag="member_list"):
    """The members of the tenant, after the change."""

    members: list[Member]


AnyAnswer = (
    Welcome | Connected | Authenticated | Error | Heartbeat | Pong | Ack | SessionList | SessionCreated | SessionUpdated
    | SessionDeleted | StateSnapshot | History | Events | FileList | FileContent | FileVersions | MemberList
)  # fmt: skip
"""Everything the server sends besides events."""

ANSWER_TYPES: Final[tuple[type[ServerMessage], ...]] = get_args(AnyAnswer)


def error_of(error: ProtocolError) -> Error:
    """The message that tells a client of an error."""
    return Error(
        code=error.code.value,
        message=error.message,
        request_id=UNSET if error.request_id is None else error.request_id,
        retry_after_ms=UNSET if error.retry_after_ms is None else error.retry_after_ms,
    )


def encode(message: ServerMessage) -> bytes:
    """The JSON text of a message."""
    return _ENCODER.encode(message)


_ENCODER: Final = msgspec.json.Encoder()
