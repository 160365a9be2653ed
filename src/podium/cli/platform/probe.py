"""A few plain HTTP requests to a daemon on this host; small, because `podium up` should be ready soon."""

import asyncio
import json
from typing import Any, Final, NamedTuple

PROBE_SECONDS: Final = 5.0
"""How long one request may take."""

_ANSWER_MAX_BYTES: Final = 1024 * 1024


class Reply(NamedTuple):
    """A status (0: no answer) and the JSON of the body, if there was any."""

    status: int
    body: Any


async def ask(port: int, method: str, path: str, key: str = "", body: Any = None) -> Reply:
    """One request to 127.0.0.1; never raises."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await _ask(port, method, path, key, body)
    except (OSError, TimeoutError, ValueError):
        return Reply(0, None)


async def _ask(port: int, method: str, path: str, key: str, body: Any) -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        data = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(data)}"]
        head += ["Content-Type: application/json"] if data else []
        head += [f"Authorization: Bearer {key}"] if key else []
        writer.write("\r\n".join([*head, "", ""]).encode() + data)
        answer = await reader.read(_ANSWER_MAX_BYTES)
        while more := await reader.read(_ANSWER_MAX_BYTES):
            answer += more
    finally:
        writer.close()
    return read_reply(answer)


def read_reply(answer: bytes) -> Reply:
    """An HTTP/1.1 answer that ended with its connection.

    Raises:
        ValueError: it is none.
    """
    head, blank, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if not blank or len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError("no HTTP answer")
    content = body[body.find(b"{") : body.rfind(b"}") + 1]
    return Reply(int(words[1]), json.loads(content) if content else None)
