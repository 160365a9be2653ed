"""Close codes of the stream (RFC 6455 §7.4; 4000–4999 are ours)."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a connection ended, and so what a client should do next."""

    NORMAL = 1000
    TOO_LARGE = 1009
    INTERNAL = 1011
    MOVING = 1012
    """The agent's host is moving or restarting: reconnect at once with `after`."""
    TRY_LATER = 1013
    BAD_FRAMES = 4400
    UNAUTHENTICATED = 4401
    NOT_FOUND = 4404
    SLOW_CONSUMER = 4408
    """The connection could not keep up: reconnect with `after`."""
    STOPPED = 4409
    RESUME_GONE = 4410
    """What was asked for is older than the journal keeps."""
    RATE_LIMITED = 4429
