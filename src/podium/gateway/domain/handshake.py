"""The opening handshake of a WebSocket (RFC 6455 §4), from both sides, as bytes. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

from podium.wire.errors import ErrorCode, PodiumError

PROTOCOL: Final = "podium.v1"
"""The subprotocol that is selected when it is offered."""

BEARER_PREFIX: Final = "podium.bearer."
"""A browser gives its key behind this, as one more subprotocol."""

VERSION: Final = "13"
HEAD_MAX_BYTES: Final = 16 * 1024
"""Largest head of a coordinator's answer."""

AFTER_MAX: Final = 2**53 - 1

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PATH = re.compile(rb"/api/v1/instances/([^/]+)/connect")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([0-9]{3})[ \r]")
_AFTER = re.compile(r"(?:^|&)after=([^&]*)")


class Opening(NamedTuple):
    """What a client asks for when it opens a stream."""

    instance_id: str
    query: str
    key: str
    offers_protocol: bool
    bearer: str | None

    def accept(self) -> bytes:
        """The head of our own answer, when it is we who answer."""
        digest = hashlib.sha1((self.key + _GUID).encode(), usedforsecurity=False).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
        ]
        if self.offers_protocol:
            lines.append(f"Sec-WebSocket-Protocol: {PROTOCOL}")
        return "\r\n".join([*lines, "", ""]).encode()

    def after(self) -> int | None:
        """The `seq` to resume behind.

        Raises:
            PodiumError: `invalid_request` when it is no such number.
        """
        found = _AFTER.findall(self.query)
        if not found:
            return None
        text: str = found[-1]
        if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= AFTER_MAX):
            raise PodiumError(ErrorCode.INVALID_REQUEST, "after must be the number of an event")
        return int(text)


def read_opening(method: str, raw_path: bytes, query: bytes, headers: Mapping[str, str], protocols: str) -> Opening:
    """A client's request, its headers by lower-case name. `protocols` is what all its `Sec-WebSocket-Protocol` headers say.

    Raises:
        PodiumError: it is no WebSocket to an instance; the answer is one of HTTP, since there is no socket to close.
    """
    path = _PATH.fullmatch(raw_path)
    if path is None:
        raise PodiumError(ErrorCode.NOT_FOUND, "there is no stream here")
    key = headers.get("sec-websocket-key", "").strip()
    if method != "GET" or headers.get("sec-websocket-version") != VERSION or not _is_key(key):
        raise PodiumError(ErrorCode.INVALID_REQUEST, f"this is no WebSocket of version {VERSION}")
    offered = [name.strip() for name in protocols.split(",") if name.strip()]
    bearer = next((name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)), None)
    return Opening(unquote(path[1].decode("latin-1")), query.decode("latin-1"), key, PROTOCOL in offered, bearer)


class Dialing(NamedTuple):
    """What the gateway asks a coordinator for."""

    host: str
    instance_id: str
    after: int | None
    key: str
    offers_protocol: bool
    mark: bytes
    headers: Mapping[str, str]

    def head(self) -> bytes:
        """The request."""
        query = "" if self.after is None else f"?after={self.after}"
        lines = [
            f"GET /agent/{self.instance_id}{query} HTTP/1.1",
            f"Host: {self.host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self.key}",
            f"Sec-WebSocket-Version: {VERSION}",
            f"Podium-Sync: {self.mark.hex()}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        if self.offers_protocol:
            lines.append(f"Sec-WebSocket-Protocol: {PROTOCOL}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Answered(NamedTuple):
    """A coordinator's answer: its status, its head as it came, and the bytes behind it."""

    status: int
    head: bytes
    rest: bytes


def read_answer(data: bytes) -> Answered | None:
    """A coordinator's answer; None while its head is not whole.

    Raises:
        ValueError: it is no HTTP, or its head is too long.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_MAX_BYTES:
            raise ValueError("the head of the answer is too long")
        return None
    line = _STATUS_LINE.match(data)
    if line is None:
        raise ValueError("the answer is no HTTP/1.1")
    return Answered(int(line[1]), data[: end + 4], data[end + 4 :])


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
