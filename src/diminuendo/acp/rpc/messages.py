"""JSON-RPC 2.0 messages as values: reading them, writing them, the codes of errors. Pure.

```
RpcError       the other side gets `error {code, message, data?}`; the connection stays
```
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
CANCELLED: Final = -32800
"""The request was cancelled by `$/cancel_request` (as in LSP; ACP took it over)."""
AUTH_REQUIRED: Final = -32000
"""ACP: the client must authenticate first."""
NOT_FOUND: Final = -32002
"""ACP: what the request names does not exist."""

MESSAGE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Largest message that is read. A prompt that becomes a message of Podium has to be smaller still (1 MiB)."""

BATCH_MAX: Final = 100
"""Most messages in one array."""

Id = str | int | float | None
"""What names a request. JSON-RPC advises against fractions and null, and allows them."""


class RpcError(Exception):
    """A request is answered by this error.

    Attributes:
        code: one of the numbers above, or the peer's own.
        message: a sentence for a person; names no secret.
        data: whatever explains more, or None.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """The error object."""
        told: dict[str, Any] = {"code": self.code, "message": self.message}
        return told if self.data is None else {**told, "data": self.data}


class Request(NamedTuple):
    """Wants an answer with the same id."""

    id: Id
    method: str
    params: Any = None


class Notification(NamedTuple):
    """Wants none."""

    method: str
    params: Any = None


class Response(NamedTuple):
    """The answer to a request of ours."""

    id: Id
    result: Any
    error: RpcError | None


class Refused(NamedTuple):
    """What is no message; answered by the error."""

    id: Id
    error: RpcError


Message = Request | Notification | Response | Refused


class Batch(NamedTuple):
    """Several messages that came as one array; their answers go back as one."""

    messages: list[Message]


class _Raw(msgspec.Struct, frozen=True):
    """The members a message may have, as they came."""

    jsonrpc: Any = None
    id: Any = UNSET
    method: Any = UNSET
    params: Any = UNSET
    result: Any = UNSET
    error: Any = UNSET


def read(data: bytes | str) -> Message | Batch:
    """What came. Never raises: what can't be read is `Refused`."""
    if len(data) > MESSAGE_MAX_BYTES:
        return Refused(None, too_large())
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Refused(None, RpcError(PARSE_ERROR, "the message is no JSON"))
    if not isinstance(value, list):
        return _message(value)
    if not value:
        return Refused(None, RpcError(INVALID_REQUEST, "the batch is empty"))
    if len(value) > BATCH_MAX:
        return Refused(None, RpcError(INVALID_REQUEST, f"a batch holds at most {BATCH_MAX} messages"))
    return Batch([_message(item) for item in value])


def too_large() -> RpcError:
    """The answer to a message that was not read to its end."""
    return RpcError(INVALID_REQUEST, f"the message has more than {MESSAGE_MAX_BYTES} bytes")


def _message(value: Any) -> Message:
    if not isinstance(value, dict):
        return Refused(None, RpcError(INVALID_REQUEST, "a message is an object"))
    raw = msgspec.convert(value, _Raw)
    if raw.id is not UNSET and not _is_id(raw.id):
        return Refused(None, RpcError(INVALID_REQUEST, "id must be a string, a number or null"))
    message_id = None if raw.id is UNSET else raw.id
    if raw.jsonrpc != "2.0":
        return Refused(message_id, RpcError(INVALID_REQUEST, 'jsonrpc must be "2.0"'))
    if raw.method is UNSET:
        return _response(raw, message_id)
    if not isinstance(raw.method, str):
        return Refused(message_id, RpcError(INVALID_REQUEST, "method must be a string"))
    params = None if raw.params is UNSET else raw.params
    if params is not None and not isinstance(params, dict | list):
        return Refused(message_id, RpcError(INVALID_REQUEST, "params must be an object or an array"))
    return Notification(raw.method, params) if raw.id is UNSET else Request(raw.id, raw.method, params)


def _response(raw: _Raw, message_id: Id) -> Message:
    if raw.id is UNSET or (raw.result is UNSET) is (raw.error is UNSET):
        return Refused(message_id, RpcError(INVALID_REQUEST, "neither a request nor a response"))
    return Response(message_id, None, _error(raw.error)) if raw.result is UNSET else Response(raw.id, raw.result, None)


def _error(value: Any) -> RpcError:
    told: Mapping[str, Any] = value if isinstance(value, dict) else {}
    code, message = told.get("code"), told.get("message")
    return RpcError(
        code if type(code) is int else INTERNAL_ERROR,
        message if isinstance(message, str) else "the other side failed without a word",
        told.get("data"),
    )


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Outgoing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    jsonrpc: str | UnsetType = UNSET
    id: Any | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: Any | UnsetType = UNSET
    result: Any | UnsetType = UNSET
    error: dict[str, Any] | UnsetType = UNSET


def request(message_id: Id, method: str, params: Any) -> bytes:
    """A request as JSON text, without line breaks."""
    return _encode(_Outgoing(jsonrpc="2.0", id=message_id, method=method, params=params))


def notification(method: str, params: Any) -> bytes:
    """A notification as JSON text."""
    return _encode(_Outgoing(jsonrpc="2.0", method=method, params=params))


def success(message_id: Id, result: Any) -> bytes:
    """The answer to a request that succeeded."""
    return _encode(_Outgoing(jsonrpc="2.0", id=message_id, result=result))


def failure(message_id: Id, error: RpcError) -> bytes:
    """The answer to a request that failed."""
    return _encode(_Outgoing(jsonrpc="2.0", id=message_id, error=error.as_json()))


def array(answers: list[bytes]) -> bytes:
    """The answers to a batch as one JSON text."""
    return b"[" + b",".join(answers) + b"]"


_encode = msgspec.json.Encoder().encode
