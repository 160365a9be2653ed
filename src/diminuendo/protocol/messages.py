"""What a client sends. Strict: a field of another type, a missing or an unknown one refuses the message.

Every message may carry a `requestId`, which comes back in its answer. In `answer_question` it is the id of the question or
permission as well.
"""

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from diminuendo.protocol.limits import PAGE_DEFAULT, PAGE_MAX

Text = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Id = Annotated[str, Meta(min_length=1, max_length=255)]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MAX)]
RoleName = Literal["owner", "admin", "member", "viewer"]


class ClientMessage(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag_field="type",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """What all messages may carry."""

    request_id: Id | UnsetType = UNSET


class SessionMessage(ClientMessage, frozen=True):
    """A message about one session."""

    session_id: Id


class Authenticate(ClientMessage, frozen=True, tag="authenticate"):
    """Who the client is: an API key or a JWT. `protocol_version` is the one it wants to speak."""

    token: Annotated[str, Meta(min_length=1, max_length=16_384)]
    protocol_version: int | UnsetType = UNSET


class ListSessions(ClientMessage, frozen=True, tag="list_sessions"):
    """Answered by `session_list`. `offset`: how many of the newest to leave out, for the pages after the first."""

    include_archived: bool = False
    offset: Seq = 0


class CreateSession(ClientMessage, frozen=True, tag="create_session"):
    """Answered by `session_created`; nothing runs yet. `metadata` goes along with every message to the agent."""

    agent_type: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)")]
    name: Name | None = None
    metadata: dict[str, Any] | None = None


class RenameSession(SessionMessage, frozen=True, tag="rename_session"):
    """Answered by `session_updated`."""

    name: Name


class ArchiveSession(SessionMessage, frozen=True, tag="archive_session"):
    """Stops its instance and takes it out of the list; answered by `session_updated`."""


class UnarchiveSession(SessionMessage, frozen=True, tag="unarchive_session"):
    """Answered by `session_updated`."""


class DeleteSession(SessionMessage, frozen=True, tag="delete_session"):
    """Stops its instance and removes what is kept of it here; answered by `session_deleted`."""


class JoinSession(SessionMessage, frozen=True, tag="join_session"):
    """Answered by `state_snapshot`; then come the events after `after_seq`, if given, and those that happen."""

    after_seq: Seq | None = None


class LeaveSession(SessionMessage, frozen=True, tag="leave_session"):
    """No more events of it on this connection; answered by `ack`."""


class RunTurn(SessionMessage, frozen=True, tag="run_turn"):
    """A message for the agent; answered by `ack` with its `turnId`. The same `client_turn_id` in the same session is done once.
    `metadata` goes along with it, over that of the session."""

    text: Text
    client_turn_id: Id | None = None
    metadata: dict[str, Any] | None = None


class StopTurn(SessionMessage, frozen=True, tag="stop_turn"):
    """Cancels the running turn; answered by `ack`."""


class Steer(SessionMessage, frozen=True, tag="steer"):
    """Something the running turn should take into account; answered by `ack`."""

    text: Text


class AnswerQuestion(SessionMessage, frozen=True, tag="answer_question"):
    """The answer to a question or permission: exactly one of `option_id`, `answers`, `dismissed`."""

    request_id: Id
    option_id: Id | None = None
    answers: dict[str, Any] | None = None
    dismissed: bool = False

    def __post_init__(self) -> None:
        if (self.option_id is not None) + (self.answers is not None) + self.dismissed != 1:
            raise ValueError("exactly one of optionId, answers, dismissed is needed")


class GetHistory(SessionMessage, frozen=True, tag="get_history"):
    """The newest `limit` messages before position `before` (not given: all); answered by `history`."""

    before: Seq | None = None
    limit: Limit = PAGE_DEFAULT


class GetEvents(SessionMessage, frozen=True, tag="get_events"):
    """The first `limit` events after `after_seq`; answered by `events`."""

    after_seq: Seq
    limit: Limit = PAGE_DEFAULT


class Ping(ClientMessage, frozen=True, tag="ping"):
    """Answered by `pong`."""


class ListFiles(SessionMessage, frozen=True, tag="list_files"):
    """Answered by `file_list`."""

    path: str | None = None
    depth: Annotated[int, Meta(ge=1)] | None = None


class ReadFile(SessionMessage, frozen=True, tag="read_file"):
    """Answered by `file_content`."""

    path: Text


class FileHistory(SessionMessage, frozen=True, tag="file_history"):
    """Answered by `file_history`."""

    path: Text


class FileAtIteration(SessionMessage, frozen=True, tag="file_at_iteration"):
    """Answered by `file_content`."""

    path: Text
    iteration: Annotated[int, Meta(ge=1)]


class ManageMembers(ClientMessage, frozen=True, tag="manage_members"):
    """Members of the tenant: `list` them, `set` the `role` of `user_id`, `remove` him. Answered by `member_list`."""

    action: Literal["list", "set", "remove"]
    user_id: Id | None = None
    role: RoleName | None = None

    def __post_init__(self) -> None:
        wanted = {"list": (False, False), "set": (True, True), "remove": (True, False)}[self.action]
        if (self.user_id is not None, self.role is not None) != wanted:
            raise ValueError("list takes nothing, set takes userId and role, remove takes userId")


AnyMessage = (
    Authenticate | ListSessions | CreateSession | RenameSession | ArchiveSession | UnarchiveSession | DeleteSession
    | JoinSession | LeaveSession | RunTurn | StopTurn | Steer | AnswerQuestion | GetHistory | GetEvents | Ping
    | ListFiles | ReadFile | FileHistory | FileAtIteration | ManageMembers
)  # fmt: skip
"""Everything a client may send."""

MESSAGE_TYPES: Final[tuple[type[ClientMessage], ...]] = get_args(AnyMessage)


def type_of(message: ClientMessage) -> str:
    """The `type` a message has on the wire."""
    tag = type(message).__struct_config__.tag
    assert isinstance(tag, str)
    return tag
