"""Files of a workspace: listed, read (now or at a moment), written. A sleeping agent's are served without waking it."""

import base64
import mimetypes
from collections.abc import Iterator
from typing import Final, NamedTuple

from blake3 import blake3

from chronicle.model.errors import FileNotFoundInHistoryError, InvalidPathError
from chronicle.model.iterations import Entry, Version
from chronicle.model.paths import joined, workspace_path
from podium.base.http import Answer, Call, Streamed
from podium.coordinator.api.incoming import Inbox, Incoming
from podium.coordinator.api.queries import number_of
from podium.coordinator.api.shelves import Shelves
from podium.coordinator.api.shown import entry_of, iteration_of, text
from podium.coordinator.domain.cursors import ListingCursor, listing_cursor
from podium.coordinator.domain.links import followed
from podium.coordinator.domain.listing import listed
from podium.coordinator.domain.ports import WorkspaceLibrary
from podium.coordinator.domain.ranges import Span, has_tag, span_of, tags_of
from podium.coordinator.domain.tags import tag_of
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.files import (
    ITERATION_HEADER,
    JSON_CONTENT_MAX_BYTES,
    FileContent,
    FileHistory,
    FileListing,
    FileRemoved,
    FileWritten,
    ListingQuery,
)

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"

_SAFE_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private, no-cache",
    "accept-ranges": "bytes",
}
"""A page an agent wrote must not act in the name of whoever looks at it, and is asked for again each time (cheap, by its tag)."""


class Found(NamedTuple):
    """A file: where it is when links are followed, what it is, and at which moment: what is read then is what was found."""

    path: bytes
    version: Version
    moment: int


class Files:
    """Handlers below `/files`."""

    def __init__(self, shelves: Shelves, inbox: Inbox) -> None:
        self._shelves = shelves
        self._inbox = inbox

    # ── listing ─────────────────────────────────────────────────────────────────────────────────────────────

    async def list_files(self, call: Call) -> FileListing:
        """What a directory holds, some levels deep."""
        agent_id = self._shelves.agent_of(call)
        query: ListingQuery = call.query
        if query.at is None and query.cursor is None:
            await self._shelves.settle(agent_id)
        return await self._shelves.work(agent_id, lambda library: _listing(library, query))

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────

    async def read_file(self, call: Call) -> Answer | Streamed:
        """A file as it is now."""
        await self._shelves.settle(self._shelves.agent_of(call))
        return await self._read(call, None)

    async def read_file_at(self, call: Call) -> Answer | Streamed:
        """A file as it was at a moment."""
        return await self._read(call, int(call.path["iteration"]))

    async def file_history(self, call: Call) -> FileHistory:
        """The changes of one path."""
        agent_id, query = self._shelves.agent_of(call), call.query
        path = _path_of(call)
        before = number_of(query.cursor, 0) or None
        if before is None:
            await self._shelves.settle(agent_id)

        def read(library: WorkspaceLibrary) -> FileHistory:
            rows = library.history(path, before=before, limit=query.limit + 1)
            if not rows and before is None:
                library.version(path)  # raises what is wrong, but for what is there without a history
            cursor = str(rows[query.limit - 1].iteration) if len(rows) > query.limit else None
            return FileHistory(text(path), [iteration_of(row) for row in rows[: query.limit]], cursor)

        return await self._shelves.work(agent_id, read)

    async def _read(self, call: Call, at: int | None) -> Answer | Streamed:
        agent_id, path = self._shelves.agent_of(call), _path_of(call)
        found = await self._shelves.work(agent_id, lambda library: find_file(library, path, at))
        if call.headers.accepts(JSON):
            return await self._as_json(agent_id, path, found)
        return self._as_bytes(call, agent_id, found)

    async def _as_json(self, agent_id: str, asked: bytes, found: Found) -> Answer:
        version = found.version
        if version.size > JSON_CONTENT_MAX_BYTES:
            raise PodiumError(
                ErrorCode.MESSAGE_TOO_LARGE,
                f"the file has {version.size} bytes; over {JSON_CONTENT_MAX_BYTES} read it without Accept: application/json",
            )
        data = await self._shelves.work(agent_id, lambda library: library.read(found.path, found.moment))
        try:
            content, encoding = data.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            content, encoding = base64.b64encode(data).decode(), "base64"
        digest = version.digest.hex() if version.digest is not None else blake3(data).hexdigest()
        answer = FileContent(text(asked), content, encoding, len(data), digest, version.iteration)  # type: ignore[arg-type]
        return Answer(200, answer, _tags(version))

    def _as_bytes(self, call: Call, agent_id: str, found: Found) -> Answer | Streamed:
        version, headers = found.version, {**_SAFE_HEADERS, **_tags(found.version)}
        kind = _type_of(found.path)
        tag = tag_of(version)
        if has_tag(call.headers.get("if-none-match"), tag.text):
            return Answer(304, None, headers, kind)
        span = span_of(call.headers.get("range"), version.size)
        wanted_tag = call.headers.get("if-range")
        if wanted_tag is not None and not (tag.is_strong and has_tag(wanted_tag, tag.text)):
            span = None
        if span is not None and span.start >= span.stop:
            problem = PodiumError(ErrorCode.RANGE_NOT_SATISFIABLE, f"the file has {version.size} bytes").problem(
                call.request_id
            )
            return Answer(416, problem, {"content-range": f"bytes */{version.size}"}, "application/problem+json")
        status, wanted = (200, Span(0, version.size)) if span is None else (206, span)
        if span is not None:
            headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{version.size}"
        headers["content-length"] = str(wanted.stop - wanted.start)
        chunks = self._shelves.stream(agent_id, lambda library: cut(library.pieces(found.path, found.moment), wanted))
        return Streamed(chunks, status, kind, headers)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────

    async def write_file(self, call: Call) -> Answer:
        """Writes a file from the body; the agent sees it at once."""
        agent_id, path = self._shelves.agent_of(call), _path_of(call)
        if not path:
            raise PodiumError(ErrorCode.INVALID_PATH, "the workspace itself is no file")
        expected = _expected(call)
        async with self._inbox.received(call) as incoming:
            written, is_new = await self._shelves.change(
                agent_id, lambda library: _put(library, path, incoming, expected)
            )
        headers = {"etag": f'"{written.hash}"', ITERATION_HEADER: str(written.iteration)}
        return Answer(201 if is_new else 200, written, headers)

    async def upload_file(self, call: Call) -> Answer:
        """The same by POST."""
        return await self.write_file(call)

    async def remove_file(self, call: Call) -> FileRemoved:
        """Removes a file, or a directory with all it holds."""
        agent_id, path = self._shelves.agent_of(call), _path_of(call)
        if not path:
            raise PodiumError(ErrorCode.INVALID_PATH, "the workspace itself can't be removed; remove the agent")
        expected = _expected(call)

        def remove(library: WorkspaceLibrary) -> FileRemoved:
            _check_exists(library, path, expected)
            return FileRemoved(text(path), library.remove(path, if_hash=expected.hash))

        return await self._shelves.change(agent_id, remove)


class _Expected(NamedTuple):
    """What a write expects to find: `hash` as in `Workspace.put`; `exists`: anything."""

    hash: str | None = None
    exists: bool = False


def _expected(call: Call) -> _Expected:
    """The precondition in `If-Match` and `If-None-Match`.

    Raises:
        PodiumError: `invalid_request` for more than one tag.
    """
    wanted, unwanted = tags_of(call.headers.get("if-match")), tags_of(call.headers.get("if-none-match"))
    if unwanted is not None:
        if unwanted != ["*"] or wanted is not None:
            raise PodiumError(ErrorCode.INVALID_REQUEST, "write with If-None-Match: *, or with If-Match")
        return _Expected("")
    if wanted is None:
        return _Expected()
    if len(wanted) != 1 or not wanted[0]:
        raise PodiumError(ErrorCode.INVALID_REQUEST, "If-Match takes one tag, the file's ETag or hash, or *")
    return _Expected(exists=True) if wanted == ["*"] else _Expected(wanted[0])


def _path_of(call: Call) -> bytes:
    return workspace_path(call.path["path"])


def _lookup(library: WorkspaceLibrary, path: bytes, at: int | None) -> Version | None:
    try:
        return library.version(path, at)
    except FileNotFoundInHistoryError:
        return None


def find_file(library: WorkspaceLibrary, path: bytes, at: int | None) -> Found:
    """The file at `path`, through links that stay in the workspace."""
    moment = library.head if at is None else at
    where, version = followed(path, lambda each: _lookup(library, each, moment))
    if version is None:
        raise FileNotFoundInHistoryError(path, at)
    if version.type != "file":
        raise InvalidPathError(path, f"a {version.type} is there; only files have content")
    return Found(where, version, moment)


def _listing(library: WorkspaceLibrary, query: ListingQuery) -> FileListing:
    cursor = listing_cursor(query.cursor) if query.cursor is not None else None
    asked = workspace_path(query.path)
    moment = cursor.moment if cursor is not None else query.at if query.at is not None else library.head
    where, version = followed(asked, lambda each: _lookup(library, each, moment))
    if version is None:
        raise FileNotFoundInHistoryError(asked, query.at)
    if version.type != "directory":
        raise InvalidPathError(asked, f"a {version.type} is there; only directories are listed")

    def entries(directory: bytes, after: bytes, limit: int) -> list[Entry]:
        there = _lookup(library, directory, moment)
        if there is None or there.type != "directory":
            return []
        return library.entries(directory, moment, after=after, limit=limit)

    after = cursor.after if cursor is not None else None
    found = listed(entries, where, query.depth, after, query.limit + 1)
    page = found[: query.limit]
    following = ListingCursor(moment, page[-1].path).encoded() if len(found) > query.limit else None
    return FileListing(text(asked), moment, [entry_of(_under(entry, where, asked)) for entry in page], following)


def _under(entry: Entry, where: bytes, asked: bytes) -> Entry:
    """The entry by the path it was asked for: through a link, when the directory was reached through one."""
    if where == asked:
        return entry
    below = entry.path[len(where) :].lstrip(b"/") if where else entry.path
    return Entry(entry.name, joined(asked, below), entry.version)


def _put(library: WorkspaceLibrary, path: bytes, incoming: Incoming, expected: _Expected) -> tuple[FileWritten, bool]:
    before = _check_exists(library, path, expected)
    made = library.put(path, source=incoming.file, if_hash=expected.hash)
    written = FileWritten(text(path), made.iteration, incoming.size, made.hash or "")
    return written, before is None


def _check_exists(library: WorkspaceLibrary, path: bytes, expected: _Expected) -> Version | None:
    there = _lookup(library, path, None)
    if expected.exists and there is None:
        raise PodiumError(ErrorCode.FILE_CHANGED, "nothing is there, and If-Match: * asks for something")
    return there


def _tags(version: Version) -> dict[str, str]:
    return {"etag": tag_of(version).header, ITERATION_HEADER: str(version.iteration)}


def _type_of(path: bytes) -> str:
    guessed, encoding = mimetypes.guess_type(text(path), strict=False)
    if guessed is None or encoding is not None:
        return OCTETS
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def cut(pieces: Iterator[bytes], span: Span) -> Iterator[bytes]:
    """Of the whole, what lies in the span. What is read before it gives empty pieces, as a sign that something is done."""
    position = 0
    for piece in pieces:
        start, stop = max(span.start - position, 0), min(span.stop - position, len(piece))
        position += len(piece)
        if start >= stop:
            yield b""
        else:
            yield piece if (start, stop) == (0, len(piece)) else piece[start:stop]
        if position >= span.stop:
            return
