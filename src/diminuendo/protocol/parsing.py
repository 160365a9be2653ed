"""From a frame to a message, or to the error it is answered by."""

from typing import Any, Final

import msgspec

from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.limits import MESSAGE_MAX_BYTES
from diminuendo.protocol.messages import AnyMessage

REASON_MAX_CHARS: Final = 300
"""Longest reason that is told; what a client sent may be quoted in it."""

GLANCE_MAX_BYTES: Final = 16 * 1024
"""Largest message whose `requestId` is looked for although the message is refused."""


def parse_message(frame: str | bytes) -> AnyMessage:
    """Reads one text frame (`bytes`: its UTF-8).

    Raises:
        ProtocolError: `MESSAGE_TOO_LARGE`, `INVALID_JSON` or `INVALID_MESSAGE`, with the `requestId` where there is one.
    """
    try:
        data = frame if isinstance(frame, bytes) else frame.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair
        raise ProtocolError(Code.INVALID_JSON, "the frame is no text") from error
    if len(data) > MESSAGE_MAX_BYTES:
        raise ProtocolError(Code.MESSAGE_TOO_LARGE, f"a message has at most {MESSAGE_MAX_BYTES} bytes")
    try:
        return _MESSAGES.decode(data)
    except msgspec.ValidationError as error:
        # It was not read to its end: what follows the wrong part may be no JSON at all, and that is said first.
        raise ProtocolError(Code.INVALID_MESSAGE, str(error)[:REASON_MAX_CHARS], _request_id(_json(data))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _json(data)  # says what is wrong with it as JSON
        raise ProtocolError(Code.INVALID_MESSAGE, "the message can't be read") from error


def request_id_of(frame: bytes) -> str | None:
    """The `requestId` of a message that is not read any further; None where there is none, or finding it would cost more than
    the message is worth."""
    if len(frame) > GLANCE_MAX_BYTES:
        return None
    try:
        return _request_id(_json(frame))
    except ProtocolError:
        return None


def _json(data: bytes) -> Any:
    """What the text says, whatever it is.

    Raises:
        ProtocolError: `INVALID_JSON`.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ProtocolError(Code.INVALID_JSON, str(error)[:REASON_MAX_CHARS]) from error
    except UnicodeDecodeError as error:
        raise ProtocolError(Code.INVALID_JSON, "the frame is no UTF-8") from error
    except RecursionError as error:
        raise ProtocolError(Code.INVALID_JSON, "the message is nested too deeply") from error


def _request_id(message: Any) -> str | None:
    given = message.get("requestId") if isinstance(message, dict) else None
    return given if isinstance(given, str) and 0 < len(given) <= 255 else None


_MESSAGES: Final[msgspec.json.Decoder[AnyMessage]] = msgspec.json.Decoder(AnyMessage)
