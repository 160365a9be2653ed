"""The agent link: what coordinator and agent say to each other over a Unix stream socket.

A frame is a 4-byte little-endian length and that many bytes of JSON, one object with a `type`. Either side ends
the link when a frame is longer than `LINK_FRAME_MAX_BYTES` or is no valid frame. Order is meaning: what the agent
sent before `complete` belongs to the turn.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from podium.wire.events import StopReason
from podium.wire.limits import LINK_FRAME_MAX_BYTES

LINK_PROTOCOL: Final = 1
"""Version of the agent link, told in `init` and `ready`."""


class LinkError(Exception):
    """The peer broke the framing or the schema; the link can't go on."""


# ── coordinator → agent ──────────────────────────────────────────────────────────────────────────────────────


class _Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=True):
    pass


class TurnInfo(msgspec.Struct, frozen=True):
    """A turn that was running when the last process died; its message follows with the higher attempt."""

    id: str
    attempt: int
    message_id: str


class Init(_Frame, tag="init", frozen=True):
    """First frame. The agent builds its state (migrating when the stored version is lower), runs `on_init`, answers `ready`.

    `state` is None for a new agent. `state_schema` is the `_version` the stored state was written with.
    """

    protocol: int
    agent_id: str
    instance_id: str
    agent_type: str
    deployment_id: str
    workspace: str
    config: dict[str, Any]
    secrets: dict[str, str]
    state: dict[str, Any] | None
    state_version: int
    state_schema: int | None
    turn: TurnInfo | None = None


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a message came from."""

    tenant_id: str
    role: str = "user"
    channel: str = "stream"


class Message(_Frame, tag="message", frozen=True):
    """One user message: starts a turn. `data` is `{text, role, attachments?, messages?, …metadata}`.

    `traceparent`: the W3C trace context of the turn, when it has one; what the agent does in the turn belongs below it.
    """

    id: str
    turn_id: str
    data: dict[str, Any]
    origin: Origin
    attempt: int
    traceparent: str = ""


class SteerTurn(_Frame, tag="steer", frozen=True):
    """Text for the running turn."""

    turn_id: str
    text: str


class CancelTurn(_Frame, tag="cancel", frozen=True):
    """The running turn is to end; the agent answers with `complete {stop_reason: "cancelled"}`."""

    turn_id: str


class AnswerRequest(_Frame, tag="answer", frozen=True):
    """The resolution of a question or permission the agent asked."""

    request_id: str
    outcome: str
    option_id: str | None = None
    answers: dict[str, Any] | None = None


class ConfigChanged(_Frame, tag="config_update", frozen=True):
    """The configuration changed; `source` is `runtime` or `client`. `config` is the whole after the change."""

    changes: dict[str, Any]
    config: dict[str, Any]
    source: str


class IdleCheck(_Frame, tag="idle_check", frozen=True):
    """May the agent be put to sleep? Answered with `idle_reply`."""


class Shutdown(_Frame, tag="shutdown", frozen=True):
    """The agent is to run `on_shutdown` and end. `reason`: `stop`, `idle`, `restart`, `drain`."""

    reason: str


class LinkPing(_Frame, tag="ping", frozen=True):
    """Is the loop alive? Answered with `pong`."""

    nonce: int


class Response(_Frame, tag="response", frozen=True):
    """Answer to a `request` of the agent: `result`, or `error` with what went wrong."""

    id: int
    result: Any = None
    error: str | None = None


ToAgent = (
    Init | Message | SteerTurn | CancelTurn | AnswerRequest | ConfigChanged | IdleCheck | Shutdown | LinkPing | Response
)

# ── agent → coordinator ──────────────────────────────────────────────────────────────────────────────────────


class Ready(_Frame, tag="ready", frozen=True):
    """`on_init` has returned. `state_schema` and `entity_type` describe the state class, if there is one."""

    protocol: int
    state_schema: int | None = None
    entity_type: str | None = None


class Element(msgspec.Struct, frozen=True):
    """One event an agent emits: canonical name and content as JSON (`{}` when there is none)."""

    type: str
    content: msgspec.Raw


class StreamUpdate(_Frame, tag="stream_update", frozen=True):
    """An event of a turn. `message_id` names the user message the turn answers; empty outside a turn."""

    message_id: str
    element: Element


class Delta(msgspec.Struct, frozen=True):
    """One change of the state: `version` is the number after it, one more than before; `ops` is JSON Patch (RFC 6902)."""

    version: int
    ops: msgspec.Raw


class StateDelta(_Frame, tag="state_delta", frozen=True):
    """Changes of the state, in order."""

    deltas: list[Delta]


class StateReplaced(_Frame, tag="state_replaced", frozen=True):
    """The whole state: the first one of a new agent, or the result of a migration. `version` as in `Delta`."""

    version: int
    state_schema: int
    data: msgspec.Raw


class Log(_Frame, tag="log", frozen=True):
    """A structured log record; `timestamp` is epoch milliseconds, `fields` whatever was given with it."""

    level: Literal["debug", "info", "warning", "error", "critical"]
    message: str
    module: str
    timestamp: int
    fields: dict[str, Any] | None = None


class Request(_Frame, tag="request", frozen=True):
    """The agent asks the coordinator (`messages`, `checkpoint`, `history`, `restore`); answered by `response`."""

    id: int
    method: str
    params: dict[str, Any]


class IdleReply(_Frame, tag="idle_reply", frozen=True):
    """Whether sleep is allowed now."""

    allow: bool


class Complete(_Frame, tag="complete", frozen=True):
    """The turn is over."""

    message_id: str
    stop_reason: StopReason


class TurnError(msgspec.Struct, frozen=True):
    """An uncaught exception: its type's name and message; the traceback went to the log."""

    type: str
    message: str


class Failed(_Frame, tag="failed", frozen=True):
    """The turn ended with an exception (or, with an empty `message_id`, `on_init` did)."""

    message_id: str
    error: TurnError


class LinkPong(_Frame, tag="pong", frozen=True):
    """Answer to `ping`."""

    nonce: int


FromAgent = Ready | StreamUpdate | StateDelta | StateReplaced | Log | Request | IdleReply | Complete | Failed | LinkPong

# ── framing ──────────────────────────────────────────────────────────────────────────────────────────────────


def pack(frame: ToAgent | FromAgent) -> bytes:
    """`frame` with its length before it.

    Raises:
        LinkError: it is longer than a frame may be.
    """
    body = _ENCODER.encode(frame)
    if len(body) > LINK_FRAME_MAX_BYTES:
        raise LinkError(f"a frame of {len(body)} bytes; at most {LINK_FRAME_MAX_BYTES} are allowed")
    return _LENGTH.pack(len(body)) + body


class FrameBuffer:
    """Takes bytes as they come and gives whole frames (their JSON); keeps what is still incomplete."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames completed by `data`, in order. Must be read to its end before `feed` is called again.

        Raises:
            LinkError: a frame announces more bytes than a frame may have.
        """
        held = self._held
        held += data
        at, end = 0, len(held)
        while end - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            if length > LINK_FRAME_MAX_BYTES:
                raise LinkError(f"the peer announces a frame of {length} bytes")
            if end - at - _LENGTH.size < length:
                break
            at += _LENGTH.size + length
            yield bytes(held[at - length : at])
        del held[:at]


def read_from_agent(body: bytes) -> FromAgent:
    """A frame the agent sent.

    Raises:
        LinkError: it is no frame of the link.
    """
    try:
        return _FROM_AGENT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LinkError(f"the agent sent no valid frame: {error}") from error


def read_to_agent(body: bytes) -> ToAgent:
    """A frame the coordinator sent.

    Raises:
        LinkError: it is no frame of the link.
    """
    try:
        return _TO_AGENT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LinkError(f"the coordinator sent no valid frame: {error}") from error


_LENGTH = struct.Struct("<I")
_ENCODER = msgspec.json.Encoder()
_FROM_AGENT: msgspec.json.Decoder[FromAgent] = msgspec.json.Decoder(FromAgent)
_TO_AGENT: msgspec.json.Decoder[ToAgent] = msgspec.json.Decoder(ToAgent)
