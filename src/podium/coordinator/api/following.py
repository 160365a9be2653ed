"""Reading an agent's journal and log while they grow: pages first, then as soon as there is more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from podium.base.http import SseEvent
from podium.coordinator.supervisor.audience import Published
from podium.coordinator.supervisor.instance import Instance
from podium.coordinator.supervisor.showing import certain, visible
from podium.wire.close import CloseCode
from podium.wire.envelope import EventRow
from podium.wire.rest import LogRecord

PAGE: Final = 256
"""Rows read at once."""


class _Watcher:
    """Hears that there is something new, and when there will be nothing more."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.over = False

    def published(self, _batch: Published) -> None:
        self.news.set()

    def ended(self, _code: CloseCode, _reason: str) -> None:
        self.over = True
        self.news.set()


async def follow_journal(instance: Instance, after: int) -> AsyncIterator[list[EventRow]]:
    """Pages of events behind `after`, each event once and in order, until the instance is over.

    Closing the iterator ends the following.
    """
    watcher = _Watcher()
    watcher.over = instance.is_over or instance.lost  # of what is not among this host's instances there is no news
    instance.audience.join(watcher)
    try:
        await certain(instance)
        while True:
            watcher.news.clear()
            with instance.reading() as store:
                rows = store.events(after, PAGE, visible(instance, store).seq)
            if rows:
                after = rows[-1].seq
                yield rows
            elif watcher.over:
                return
            else:
                await watcher.news.wait()
    finally:
        instance.audience.leave(watcher)
        instance.rest()


async def follow_log(instance: Instance, level: str | None, after_id: int) -> AsyncIterator[list[LogRecord]]:
    """Pages of log records behind `after_id`, until the instance is over."""
    watcher = _Watcher()
    watcher.over = instance.is_over or instance.lost  # of what is not among this host's instances there is no news
    instance.audience.join(watcher)
    instance.log_news.add(watcher.news)
    try:
        while True:
            watcher.news.clear()
            with instance.reading() as store:
                records = store.logs(level, PAGE, after_id=after_id)
            if records:
                after_id = records[-1].id
                yield records
            elif watcher.over:
                return
            else:
                await watcher.news.wait()
    finally:
        instance.log_news.discard(watcher.news)
        instance.audience.leave(watcher)
        instance.rest()


async def journal_as_sse(instance: Instance, after: int) -> AsyncIterator[SseEvent]:
    """The journal as server-sent events; `id` is the `seq`."""
    async for rows in follow_journal(instance, after):
        for row in rows:
            yield SseEvent(instance.audience.writer.write(row), id=str(row.seq))


async def turn_as_sse(instance: Instance, turn_id: str, after: int) -> AsyncIterator[SseEvent]:
    """The events of one turn, until its checkpoint."""
    async for rows in follow_journal(instance, after):
        for row in rows:
            if row.turn_id != turn_id:
                continue
            yield SseEvent(instance.audience.writer.write(row), id=str(row.seq))
            if row.type == "checkpoint":
                return


async def log_as_sse(instance: Instance, level: str | None, after_id: int) -> AsyncIterator[SseEvent]:
    """The log as server-sent events; `id` is the record's."""
    async for records in follow_log(instance, level, after_id):
        for record in records:
            yield SseEvent(msgspec.json.encode(record), id=str(record.id))
