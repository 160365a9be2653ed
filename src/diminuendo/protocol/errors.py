"""What can be wrong with what a client sends; the one error of this package.

```
ProtocolError    the client gets `error {code, message, requestId?}`; the connection stays unless the handshake says otherwise
```
"""

from enum import StrEnum


class Code(StrEnum):
    """The codes of `error`."""

    INVALID_JSON = "INVALID_JSON"
    """The frame is no JSON text."""
    INVALID_MESSAGE = "INVALID_MESSAGE"
    """It is no message of the protocol, or makes no sense now."""
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    """It has more than 1 MiB."""
    RATE_LIMITED = "RATE_LIMITED"
    """More than 60 messages in 10 seconds; this one was not read."""
    AUTH_FAILED = "AUTH_FAILED"
    """The token is not valid, or came too late."""
    AUTH_RATE_LIMITED = "AUTH_RATE_LIMITED"
    """Too many failed tries; `retryAfterMs` says when the next makes sense."""
    UNAUTHENTICATED = "UNAUTHENTICATED"
    """`authenticate` comes first."""
    FORBIDDEN = "FORBIDDEN"
    """The role does not allow it."""
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    """There is no such session for this tenant."""
    PROTOCOL_VERSION_MISMATCH = "PROTOCOL_VERSION_MISMATCH"
    """The client speaks another version."""
    PODIUM_UNAVAILABLE = "PODIUM_UNAVAILABLE"
    """Podium can't be reached or can't run the agent now."""


class ProtocolError(Exception):
    """A message that is answered by an error.

    Attributes:
        code: one of `Code`.
        message: a sentence for a person; names no secret.
        request_id: the `requestId` of the message, where one could be read.
        retry_after_ms: when trying again makes sense, for the two rate limits.
    """

    def __init__(
        self, code: Code, message: str, request_id: str | None = None, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after_ms = retry_after_ms
