"""Which pages of the web may use a server, and the headers that tell their browsers so (CORS, the Fetch standard §3.2)."""

import re
from collections.abc import Sequence
from typing import Any, Final, Self

from podium.base.http.call import Headers, Receive, Send

LOCAL_ORIGINS: Final = "http://localhost:*,http://127.0.0.1:*"
"""Pages that this host serves itself, at any port: what somebody who develops one needs, and nobody else can abuse."""

PREFLIGHT_SECONDS: Final = 7_200
"""How long a browser remembers what it was allowed: the most that Chromium does."""

METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"

_PORT: Final = re.compile(r":[0-9]{1,5}")


class Origins(tuple[str, ...]):
    """Origins as browsers write them (`https://app.example.com`), `…:*` for any port, or `*` for every page."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Origins with commas between."""
        return cls(origin for part in text.split(",") if (origin := part.strip()))

    def __str__(self) -> str:
        return ",".join(self)


def is_allowed(origin: str | None, allowed: Sequence[str]) -> bool:
    """Whether a page of `origin` is among the `allowed` (see `Origins`). Who sends none is no browser, and is."""
    if origin is None or "*" in allowed:
        return True
    for known in allowed:
        base = known.removesuffix(":*")
        if origin == known or (base != known and (origin == base or _PORT.fullmatch(origin.removeprefix(base)))):
            return True
    return False


class CrossOrigin:
    """An ASGI application whose answers may be read by pages of other origins.

    It allows no cookies and no credentials of the browser's own: a page has to bring a key. So what it does not allow is
    that somebody's page uses a key it was given; it protects no request, which is what the key is for.
    """

    def __init__(self, app: Any, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answers the question before a request by itself, and marks the answers of the application."""
        headers = Headers(scope.get("headers", ()))
        origin = headers.get("origin")
        if origin is None or not is_allowed(origin, self._allowed):
            await self._app(scope, receive, send)
            return
        marks = [(b"access-control-allow-origin", origin.encode()), (b"vary", b"origin")]
        if scope["method"] == "OPTIONS" and headers.get("access-control-request-method") is not None:
            await _allow(headers.get("access-control-request-headers") or "", marks, send)
            return

        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                exposed = (b"access-control-expose-headers", b"*")
                message = {**message, "headers": [*message.get("headers", ()), *marks, exposed]}
            await send(message)

        await self._app(scope, receive, marked)


async def _allow(wanted: str, marks: list[tuple[bytes, bytes]], send: Send) -> None:
    allowed = [
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", wanted.encode()),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": [*marks, *allowed]})
    await send({"type": "http.response.body", "body": b""})
