"""Query parameters of the coordinator's routes, and how cursors are read."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import PAGE_DEFAULT
from podium.wire.rest import PageLimit

Count = Annotated[int, Meta(ge=0)]
Level = Literal["debug", "info", "warning", "error", "critical"]


class PageQuery(msgspec.Struct, frozen=True):
    """A page of a list."""

    limit: PageLimit = PAGE_DEFAULT
    cursor: str | None = None


class EventsQuery(PageQuery, frozen=True):
    """A page of the journal. `cursor` is a page's `next_cursor` and wins over `after`."""

    after: Count = 0


class LogsQuery(PageQuery, frozen=True):
    """A page of the log, or (`follow`) what is logged from now on."""

    level: Level | None = None
    offset: Count | None = None
    follow: bool = False


class StateQuery(msgspec.Struct, frozen=True):
    """Which version of the state; none: the newest."""

    version: Count | None = None


class RequestsQuery(PageQuery, frozen=True):
    """A page of the questions and permissions."""

    status: Literal["open", "resolved"] | None = None


class SendQuery(msgspec.Struct, frozen=True):
    """Whether to wait for the whole answer."""

    wait: bool = False


def number_of(cursor: str | None, default: int) -> int:
    """The number a cursor stands for.

    Raises:
        PodiumError: `invalid_request`: no cursor of ours.
    """
    if cursor is None:
        return default
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise PodiumError(ErrorCode.INVALID_REQUEST, "cursor is not one this list gave")
    return int(cursor)
