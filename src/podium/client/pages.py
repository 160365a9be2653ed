"""Lists that come in pages."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from podium.client.call import Call, api_path, read_as
from podium.client.transport import Transport
from podium.wire.limits import PAGE_MAX
from podium.wire.rest import Page

_T = TypeVar("_T")


async def read_pages(
    transport: Transport, operation: str, path: tuple[str, ...], kind: type[_T], query: Mapping[str, Any]
) -> AsyncIterator[_T]:
    """Every item of a list, page by page; `query` may hold a `limit`, which then bounds the whole."""
    left: int | None = query.get("limit")
    cursor: str | None = None
    while left is None or left > 0:
        size = PAGE_MAX if left is None else min(left, PAGE_MAX)
        call = Call(operation, "GET", api_path(*path, query={**query, "limit": size, "cursor": cursor}))
        page = read_as(Page[kind], await transport.send(call), call)  # type: ignore[valid-type]
        for item in page.items:
            yield item
        cursor = page.next_cursor
        if cursor is None:
            return
        left = None if left is None else left - len(page.items)
