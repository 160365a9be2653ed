"""A workspace as a whole: what changed, what differs, taking it back, naming moments, packing it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

from chronicle.model.iterations import Checkpoint
from chronicle.model.paths import workspace_path
from podium.base.http import EVENT_STREAM, Answer, Call, SseEvent, Streamed, event_stream
from podium.coordinator.api.archives import gzipped_tar
from podium.coordinator.api.queries import number_of
from podium.coordinator.api.shelves import Shelves
from podium.coordinator.api.shown import checkpoint_of, difference_of, iteration_of
from podium.coordinator.domain.cursors import DiffCursor, diff_cursor
from podium.coordinator.domain.ports import WorkspaceLibrary
from podium.wire.errors import ErrorCode, PodiumError, as_json
from podium.wire.files import (
    ChangesQuery,
    CheckpointList,
    DiffQuery,
    FileDifference,
    FileIteration,
    Restored,
    WorkspaceChanges,
    WorkspaceCheckpoint,
    WorkspaceDiff,
)

UNIFIED = "text/x-diff"
"""Asks for differences as text, the way `diff -u` and `git` write them."""

GZIP = "application/gzip"

LOOK_SECONDS = 1.0
"""How often a follower looks for changes that nobody told of: those of an agent that sleeps."""

LOOKS = 10_000
"""Paths looked at for one page of differences, at most: some 0.3 s, also when a large tree has hardly changed."""

BATCH = 256
"""Changes read at once for a follower."""


class WorkspaceRoutes:
    """Handlers below `/workspace`."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def list_changes(self, call: Call) -> WorkspaceChanges | Streamed:
        """Changes in order: a page, or with `Accept: text/event-stream` all of them and what follows."""
        agent_id = self._shelves.agent_of(call)
        query: ChangesQuery = call.query
        path = workspace_path(query.path)
        after = number_of(query.cursor, query.after)
        if call.headers.accepts(EVENT_STREAM.content_type):
            after = number_of(call.headers.get("last-event-id"), after)
            await self._shelves.work(agent_id, lambda library: library.head)
            return event_stream(self._follow(agent_id, path, after))
        await self._shelves.settle(agent_id)

        def read(library: WorkspaceLibrary) -> WorkspaceChanges:
            rows = library.log(path, after=after, limit=query.limit + 1)
            page = rows[: query.limit]
            cursor = str(page[-1].iteration) if len(rows) > query.limit else None
            return WorkspaceChanges([iteration_of(row) for row in page], library.head, cursor)

        return await self._shelves.work(agent_id, read)

    async def _follow(self, agent_id: str, path: bytes, after: int) -> AsyncIterator[SseEvent]:
        news = asyncio.Event()
        unfollow = self._shelves.workspaces.follow(agent_id, lambda _: news.set())
        try:
            while True:
                news.clear()
                rows = await self._shelves.work(agent_id, partial(_changes, path=path, after=after))
                for row in rows:
                    yield SseEvent(as_json(row), id=str(row.iteration))
                    after = row.iteration
                if not rows:
                    await _heard(news, LOOK_SECONDS)
        finally:
            unfollow()

    async def compare(self, call: Call) -> WorkspaceDiff | Streamed:
        """What differs between two moments, as records or as text."""
        agent_id = self._shelves.agent_of(call)
        query: DiffQuery = call.query
        path = workspace_path(query.path)
        if query.to is None and query.cursor is None:
            await self._shelves.settle(agent_id)
        if call.headers.accepts(UNIFIED):
            # What is wrong with the question is told before the answer begins.
            await self._shelves.work(agent_id, lambda library: library.compare(query.from_, query.to, path))
            lines = self._shelves.stream(
                agent_id, lambda library: _encoded(library.diff_text(query.from_, query.to, path))
            )
            return Streamed(lines, 200, f"{UNIFIED}; charset=utf-8")
        return await self._shelves.work(agent_id, lambda library: difference_page(library, query, path))

    async def restore(self, call: Call) -> Restored:
        """Takes the workspace, or a path in it, back."""
        agent_id = self._shelves.agent_of(call)
        path = call.body.path
        if path is not None:
            workspace_path(path)
        self._check_exists(agent_id)
        async with self._shelves.changing(agent_id):
            head = await self._shelves.workspaces.restore(agent_id, call.body.iteration, path, None)
        await self._shelves.shown(agent_id, head)
        return Restored(head)

    async def list_checkpoints(self, call: Call) -> CheckpointList:
        """Named moments, newest first."""
        agent_id, limit = self._shelves.agent_of(call), call.query.limit
        found = await self._shelves.work(agent_id, lambda library: library.checkpoints(limit=limit))
        return CheckpointList([checkpoint_of(each) for each in found])

    async def make_checkpoint(self, call: Call) -> WorkspaceCheckpoint:
        """Names the moment that is now."""
        agent_id, label = self._shelves.agent_of(call), call.body.label
        self._check_exists(agent_id)
        async with self._shelves.changing(agent_id):
            moment = await self._shelves.workspaces.checkpoint(agent_id, label, None)
        found = await self._shelves.work(agent_id, lambda library: library.checkpoints(limit=BATCH))
        made = next((each for each in found if (each.iteration, each.label) == (moment, label)), None)
        if made is None:  # so many came after it
            made = Checkpoint(moment, time.time_ns() // 1_000_000, label)
        return checkpoint_of(made)

    async def archive(self, call: Call) -> Answer | Streamed:
        """The tree as tar.gz, made while it is sent."""
        agent_id, query = self._shelves.agent_of(call), call.query
        path = workspace_path(query.path)
        if query.at is None:
            await self._shelves.settle(agent_id)

        def checked(library: WorkspaceLibrary) -> int:
            moment = library.head if query.at is None else query.at
            if library.version(path, moment).type != "directory":
                raise PodiumError(ErrorCode.INVALID_PATH, "only directories are packed; read a file by its path")
            return moment

        moment = await self._shelves.work(agent_id, checked)
        headers = {"content-disposition": f'attachment; filename="{agent_id}-{moment}.tar.gz"'}
        chunks = self._shelves.stream(agent_id, lambda library: gzipped_tar(library, moment, path))
        return Streamed(chunks, 200, GZIP, headers)

    def _check_exists(self, agent_id: str) -> None:
        if not self._shelves.workspaces.exists(agent_id):
            raise PodiumError(ErrorCode.FILE_NOT_FOUND, "the agent has no workspace yet")


def _changes(library: WorkspaceLibrary, path: bytes, after: int) -> list[FileIteration]:
    return [iteration_of(row) for row in library.log(path, after=after, limit=BATCH)]


def difference_page(library: WorkspaceLibrary, query: DiffQuery, path: bytes) -> WorkspaceDiff:
    """The next differences; fewer than were asked for, even none, when there was much to look at."""
    cursor = diff_cursor(query.cursor) if query.cursor is not None else None
    before, after, told = cursor or (query.from_, library.head if query.to is None else query.to, None)
    page: list[FileDifference] = []
    following: bytes | None = None
    for looked, (at, difference) in enumerate(library.compare(before, after, path, behind=told), 1):
        if difference is not None and len(page) == query.limit:
            following = told
            break
        if difference is not None:
            page.append(difference_of(difference))
        told = at
        if looked == LOOKS:
            following = at
            break
    more = None if following is None else DiffCursor(before, after, following).encoded()
    return WorkspaceDiff(before, after, page, more)


def _encoded(texts: Iterator[str]) -> Iterator[bytes]:
    for each in texts:
        yield each.encode("utf-8", "replace")


async def _heard(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return
