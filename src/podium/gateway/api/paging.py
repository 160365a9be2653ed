"""Lists in pages."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from podium.wire.limits import PAGE_DEFAULT
from podium.wire.rest import Page, PageLimit

Cursor = Annotated[str, Meta(max_length=512, description="`next_cursor` of the page before")]

_R = TypeVar("_R")
_T = TypeVar("_T")


class ListQuery(msgspec.Struct, frozen=True):
    """`limit` and `cursor` of every list."""

    limit: PageLimit = PAGE_DEFAULT
    cursor: Cursor | None = None


def page_of(found: Sequence[_R], limit: int, show: Callable[[_R], _T], cursor: Callable[[_R], str]) -> Page[_T]:
    """A page of at most `limit` of what was found; `found` holds one more when there is a next page."""
    more = len(found) > limit
    shown = found[:limit]
    return Page([show(record) for record in shown], cursor(shown[-1]) if more and shown else None)
