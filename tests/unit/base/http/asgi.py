"""An ASGI application called without a server."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from podium.base.http import HttpApp


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def call(
    app: HttpApp,
    method: str,
    path: str,
    *chunks: bytes,
    headers: dict[str, str] | None = None,
    query: bytes = b"",
    taken: Callable[[int], None] = lambda _: None,
) -> Said:
    """One request; `taken` hears how many chunks of the body were read."""
    waiting = list(chunks)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting and len(chunks) and not sent:
            return {"type": "http.disconnect"}
        chunk = waiting.pop(0) if waiting else b""
        taken(len(chunks) - len(waiting))
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode("latin-1"),
        "query_string": query,
        "headers": raw,
    }
    await app(scope, receive, send)
    answered = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Said(sent[0]["status"], answered, b"".join(part.get("body", b"") for part in sent[1:]))
