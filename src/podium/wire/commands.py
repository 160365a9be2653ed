"""What a client sends on a stream, and how it is answered."""

from typing import Any, Final, Literal

import msgspec

from podium.wire.errors import ErrorCode, PodiumError

COMMAND_ID_MAX_CHARS: Final = 255
"""Longest id a client may give a command."""

OnBusy = Literal["queue", "steer", "interrupt", "reject"]
"""What happens to a message while a turn runs."""

PROTOCOL: Final = 1
"""Version of the stream protocol, told in `connected`."""


class ProcessMessage(msgspec.Struct, frozen=True, tag="process_message", tag_field="type"):
    """A message for the agent. `content` is `{text, …metadata}`; `messages` and `attachments` ride along.

    `traceparent`, of this and every other command: the W3C trace context it belongs to; default: that of the connection.
    """

    content: dict[str, Any]
    id: str | None = None
    on_busy: OnBusy = "queue"
    messages: list[Any] | None = None
    attachments: list[Any] | None = None
    traceparent: str | None = None


class SteerContent(msgspec.Struct, frozen=True):
    """What the running turn should take into account."""

    text: str


class Steer(msgspec.Struct, frozen=True, tag="steer", tag_field="type"):
    """Reaches the running turn; none running is answered with `no_turn`."""

    content: SteerContent
    id: str | None = None
    traceparent: str | None = None


class Cancel(msgspec.Struct, frozen=True, tag="cancel", tag_field="type"):
    """Ends the running turn."""

    id: str | None = None
    content: dict[str, Any] | None = None
    traceparent: str | None = None


class AnswerContent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a question or permission: exactly one of `option_id`, `answers`, `dismissed`."""

    request_id: str
    option_id: str | None = None
    answers: dict[str, Any] | None = None
    dismissed: bool = False


class Answer(msgspec.Struct, frozen=True, tag="answer", tag_field="type"):
    """Resolves a question or permission; the first answer wins."""

    content: AnswerContent
    id: str | None = None
    traceparent: str | None = None


class ConfigContent(msgspec.Struct, frozen=True):
    """Changes to the configuration of this agent, by dotted or nested key."""

    changes: dict[str, Any]


class ConfigUpdate(msgspec.Struct, frozen=True, tag="config_update", tag_field="type"):
    """Changes the configuration; needs `config:write`."""

    content: ConfigContent
    id: str | None = None
    traceparent: str | None = None


class Ping(msgspec.Struct, frozen=True, tag="ping", tag_field="type"):
    """Answered with `pong`."""

    id: str | None = None
    content: dict[str, Any] | None = None


Command = ProcessMessage | Steer | Cancel | Answer | ConfigUpdate | Ping


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """The command is durable (a message) or done (the others). `seq`: the event that tells of it."""

    id: str | None = None
    turn_id: str | None = None
    message_id: str | None = None
    seq: int | None = None


class Nack(msgspec.Struct, frozen=True, omit_defaults=True):
    """The command is refused and has done nothing."""

    code: str
    message: str
    id: str | None = None


class Connected(msgspec.Struct, frozen=True):
    """First frame of a connection."""

    protocol: int
    instance_id: str
    agent_id: str
    deployment_id: str
    status: str
    last_seq: int


def read_command(frame: bytes | str) -> Command:
    """Reads and checks a client's frame.

    Raises:
        PodiumError: `invalid_json` when it is no JSON, `invalid_request` when its type is unknown or it breaks the schema.
    """
    try:
        command = _COMMANDS.decode(frame)
    except msgspec.ValidationError as error:
        raise PodiumError(ErrorCode.INVALID_REQUEST, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PodiumError(ErrorCode.INVALID_JSON, "the frame is no JSON") from error
    _check(command)
    return command


def command_id_of(frame: bytes | str) -> str | None:
    """The id in a frame that `read_command` refused, so that its nack can name it; None when it can't be told."""
    try:
        given = msgspec.json.decode(frame, type=dict[str, Any]).get("id")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return given if isinstance(given, str) and len(given) <= COMMAND_ID_MAX_CHARS else None


def _check(command: Command) -> None:
    if command.id is not None and not 1 <= len(command.id) <= COMMAND_ID_MAX_CHARS:
        raise PodiumError(ErrorCode.INVALID_REQUEST, f"id must have 1 to {COMMAND_ID_MAX_CHARS} characters")
    if isinstance(command, ProcessMessage) and not isinstance(command.content.get("text", ""), str):
        raise PodiumError(ErrorCode.INVALID_REQUEST, "content.text must be a string")
    if isinstance(command, ProcessMessage) and "text" not in command.content and command.messages is None:
        raise PodiumError(ErrorCode.INVALID_REQUEST, "content.text is missing")
    if isinstance(command, Answer):
        check_answer(command.content)


def check_answer(answer: AnswerContent) -> None:
    """Checks that exactly one way of answering is used.

    Raises:
        PodiumError: `invalid_request` otherwise.
    """
    given = (answer.option_id is not None) + (answer.answers is not None) + answer.dismissed
    if given != 1:
        raise PodiumError(ErrorCode.INVALID_REQUEST, "give exactly one of option_id, answers, dismissed")


_COMMANDS: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
