"""Answers a request that can't become a WebSocket, as HTTP."""

import asyncio
from typing import Final, cast

from podium.base.http.app import problem_answer
from podium.wire.errors import PodiumError

WEBSOCKET_VERSION: Final = "13"
"""The version of RFC 6455, told to whoever wants another one."""


class Refusal(asyncio.Protocol):
    """A protocol for the connection that answers with a problem and closes."""

    def __init__(self, error: PodiumError, request_id: str) -> None:
        self._error = error
        self._request_id = request_id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answers and closes."""
        answer = problem_answer(self._error, self._request_id)
        body = answer.encoded()
        headers = {
            **answer.headers,
            "content-type": answer.content_type,
            "content-length": str(len(body)),
            "sec-websocket-version": WEBSOCKET_VERSION,
            "x-request-id": self._request_id,
            "connection": "close",
        }
        lines = [f"HTTP/1.1 {answer.status} {self._error.mapping.title}", *(f"{n}: {v}" for n, v in headers.items())]
        out = cast("asyncio.Transport", transport)
        out.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        out.close()
