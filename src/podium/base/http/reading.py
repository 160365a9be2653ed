"""From bytes of a request to the values its endpoint declares, or to the error that says what is wrong."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from podium.base.http.call import ClientGoneError, Headers, Receive, receive_part
from podium.wire.errors import ErrorCode, FieldError, PodiumError

QUERY_FIELDS_MAX: Final = 100
"""More query parameters than this are refused."""

_AT = re.compile(r"(?s)^(.*) - at `(.+?)`(?: in `(.+)`)?$")


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The whole body, refused as soon as it is known to be longer than `limit` bytes.

    Raises:
        PodiumError: `message_too_large`.
        ClientGoneError: the client went away before the end.
    """
    if int(headers.get("content-length") or 0) > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive_part(receive)
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


def too_large(limit: int) -> PodiumError:
    """The error of a body over `limit` bytes."""
    return PodiumError(ErrorCode.MESSAGE_TOO_LARGE, f"a request body holds at most {limit} bytes")


def check_json_type(headers: Headers) -> None:
    """Refuses a body that says it is something else than JSON; one that says nothing is taken as JSON.

    Raises:
        PodiumError: `unsupported_media_type`.
    """
    given = headers.get("content-type", "")
    media, _, parameters = given.partition(";")
    kind = media.strip().lower()
    if kind and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise PodiumError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower().replace("-", "").replace("_", "") not in {"utf8", "usascii"}:
        raise PodiumError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "send JSON in UTF-8")


def decode_json(raw: bytes, decoder: "msgspec.json.Decoder[Any]") -> Any:
    """The value in a JSON body.

    Raises:
        PodiumError: `invalid_json` when it is none, `invalid_request` when it breaks its schema.
    """
    try:
        value = decoder.decode(raw)
        _ENCODER.encode(value)
    except msgspec.ValidationError as error:
        raise invalid("body", str(error)) from error
    except RecursionError as error:
        raise PodiumError(ErrorCode.INVALID_JSON, "the body is nested too deeply") from error
    except OverflowError as error:
        raise invalid("body", "a number is out of range") from error
    except UnicodeError as error:
        raise PodiumError(ErrorCode.INVALID_JSON, "the body is no valid UTF-8") from error
    except msgspec.DecodeError as error:
        raise PodiumError(ErrorCode.INVALID_JSON, str(error)) from error
    return value


def read_query(raw: bytes, kind: type[msgspec.Struct]) -> Any:
    """The query parameters as `kind`; unknown ones are ignored unless `kind` forbids them.

    Raises:
        PodiumError: `invalid_request`.
    """
    values: dict[str, str] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
    except (UnicodeError, ValueError) as error:
        raise invalid("query", "the query is malformed") from error
    for name, value in pairs:
        if name in values:
            raise invalid("query", f"{name[:80]!r} is given twice")
        values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid("query", str(error)) from error


def invalid(where: str, message: str) -> PodiumError:
    """`invalid_request` that names the field, from a message of msgspec (`… - at `$.limits.cpu``)."""
    found = _AT.match(message)
    if found is None:
        return _broken(where, message)
    path = found[2]
    if path in {"key", "value"} and found[3]:
        path = found[3]
    return _broken(where + path.removeprefix("$"), found[1])


def _broken(loc: str, message: str) -> PodiumError:
    detail = f"{loc}: {message}"
    return PodiumError(ErrorCode.INVALID_REQUEST, detail, errors=[FieldError(loc, message)])


_ENCODER = msgspec.json.Encoder()
