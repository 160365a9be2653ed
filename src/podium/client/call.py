"""A request as a value, and its answer."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from podium.client.errors import PodiumConnectionError
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import CREATE_TIMEOUT_SECONDS

REQUEST_SECONDS: Final = 30.0
"""How long an ordinary request may take."""

CREATE_SECONDS: Final = CREATE_TIMEOUT_SECONDS + 5.0
"""Creating an instance answers within its own limit; a little longer for the way."""

FILES_SECONDS: Final = 15.0
"""How long a file request may take."""

PROBE_SECONDS: Final = 5.0
"""How long a probe waits before an instance counts as not alive."""

_T = TypeVar("_T")


class Call(NamedTuple):
    """One request. `repeatable`: sending it twice does no more than sending it once."""

    operation: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    seconds: float = REQUEST_SECONDS
    instance_id: str | None = None
    repeatable: bool = True


class Answer(NamedTuple):
    """A successful answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def api_path(*parts: str, query: Mapping[str, Any] | None = None) -> str:
    """`/api/v1/…` with each part escaped; query values that are None are left out."""
    path = "/api/v1/" + "/".join(quote(part, safe=":@") for part in parts)
    given = {name: _query_value(value) for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def file_path(path: str) -> str:
    """A workspace path as part of a URL: slashes stay, except where the rest would be read as a route of its own, or be shortened
    on the way (`..`), so that the server sees what was asked for."""
    parts = path.split("/")
    reserved = ".." in parts or parts[-1] == "history" or (len(parts) > 1 and parts[-2] == "at" and parts[-1].isdigit())
    return quote(path, safe="" if reserved else "/")


def read_as(kind: type[_T], answer: Answer, call: Call) -> _T:
    """The body of an answer as `kind`.

    Raises:
        PodiumConnectionError: `internal`, the body is something else.
    """
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        problem = PodiumError(ErrorCode.INTERNAL, f"the answer can't be read: {error}")
        raise PodiumConnectionError(
            call.operation, problem, instance_id=call.instance_id, status=answer.status, cause=error
        ) from error


def _query_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
