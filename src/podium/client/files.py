"""Files of a workspace: listed, read now or as they were, written, compared, taken back, downloaded."""

import base64
import builtins
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal

import msgspec

from podium.client.call import FILES_SECONDS, Call, api_path, file_path, read_as
from podium.client.sse import read_events
from podium.client.transport import Transport
from podium.wire.errors import as_json
from podium.wire.files import (
    CheckpointList,
    CheckpointRequest,
    FileDifference,
    FileRemoved,
    FileWritten,
    Restored,
    RestoreRequest,
    WorkspaceChanges,
    WorkspaceCheckpoint,
    WorkspaceDiff,
)
from podium.wire.limits import PAGE_MAX

TRANSFER_SECONDS: Final = 3600.0
"""How long reading or writing the bytes of a file, or restoring a tree, may take."""

_BYTES: Final = {"Accept": "*/*"}
_PLURAL: Final = {"instance": "instances", "agent": "agents"}


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a directory. Sizes in bytes, `mtime` epoch milliseconds; `iteration` of its last change."""

    name: str
    path: str
    type: str
    size: int = 0
    mode: int = 0
    mtime: int = 0
    iteration: int = 0
    target: str | None = None


class FileContent(msgspec.Struct, frozen=True):
    """A file as it was at `iteration`. `content` is text, or base64 when `encoding` says so."""

    path: str
    content: str
    encoding: Literal["utf-8", "base64"] = "utf-8"
    size: int = 0
    hash: str = ""
    iteration: int = 0

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return base64.b64decode(self.content) if self.encoding == "base64" else self.content.encode()


class IterationMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recorded change of a path."""

    iteration: int
    path: str = ""
    kind: str = ""
    timestamp: int = 0
    size: int | None = None
    hash: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    turn_id: str | None = None


class _Directory(msgspec.Struct, frozen=True):
    entries: list[FileEntry]
    path: str = ""
    iteration: int = 0
    next_cursor: str | None = None


class _History(msgspec.Struct, frozen=True):
    iterations: list[IterationMeta]
    path: str = ""
    next_cursor: str | None = None


class Files:
    """File operations. `of`: whether names are those of instances, or of agents, which may have no instance."""

    def __init__(self, transport: Transport, of: Literal["instance", "agent"] = "instance") -> None:
        self._transport = transport
        self._of = of

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────

    async def list(
        self, name: str, path: str | None = None, depth: int | None = None, *, at: int | None = None
    ) -> list[FileEntry]:
        """The entries below `path` (the root of the workspace when None), `depth` levels deep (1 to 16)."""
        entries: list[FileEntry] = []
        cursor: str | None = None
        while True:
            query = {"path": path, "depth": depth, "at": at, "cursor": cursor}
            call = self._call("list_files", "GET", name, "files", query=query)
            page = read_as(_Directory, await self._transport.send(call), call)
            entries += page.entries
            cursor = page.next_cursor
            if cursor is None:
                return entries

    async def read(self, name: str, path: str) -> FileContent:
        """The newest version of a file, whole (up to 16 MiB)."""
        return await self._content("read_file", name, file_path(path))

    async def at(self, name: str, path: str, iteration: int) -> FileContent:
        """A file as it was at that moment of the workspace, whole (up to 16 MiB)."""
        return await self._content("file_at_iteration", name, f"{file_path(path)}/at/{iteration}")

    def stream(
        self, name: str, path: str, *, at: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of a file of any size, in pieces."""
        escaped = file_path(path) if at is None else f"{file_path(path)}/at/{at}"
        call = self._call("read_file", "GET", name, "files", escaped=escaped)
        return self._transport.fetch(call._replace(headers=_BYTES, seconds=TRANSFER_SECONDS))

    async def history(self, name: str, path: str) -> "builtins.list[IterationMeta]":
        """All recorded changes of a path, newest first."""
        iterations: list[IterationMeta] = []
        cursor: str | None = None
        while True:
            query = {"cursor": cursor}
            call = self._call("file_history", "GET", name, "files", escaped=f"{file_path(path)}/history", query=query)
            page = read_as(_History, await self._transport.send(call), call)
            iterations += page.iterations
            cursor = page.next_cursor
            if cursor is None:
                return iterations

    async def _content(self, operation: str, name: str, escaped: str) -> FileContent:
        call = self._call(operation, "GET", name, "files", escaped=escaped)
        return read_as(FileContent, await self._transport.send(call), call)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────

    async def write(
        self,
        name: str,
        path: str,
        content: bytes | AsyncIterator[bytes],
        *,
        if_hash: str | None = None,
        new: bool = False,
    ) -> FileWritten:
        """Writes a file. `if_hash`: only when this is the hash of what is there; `new`: only when nothing is."""
        headers = {"Content-Type": "application/octet-stream"}
        if if_hash is not None:
            headers["If-Match"] = f'"{if_hash}"'
        if new:
            headers["If-None-Match"] = "*"
        call = self._call("write_file", "PUT", name, "files", escaped=file_path(path))
        call = call._replace(headers=headers, seconds=TRANSFER_SECONDS, repeatable=False)
        return read_as(FileWritten, await self._transport.send_once(call, content), call)

    async def remove(self, name: str, path: str, *, if_hash: str | None = None) -> FileRemoved:
        """Removes a file, or a directory with all it holds."""
        call = self._call("remove_file", "DELETE", name, "files", escaped=file_path(path))
        headers = {} if if_hash is None else {"If-Match": f'"{if_hash}"'}
        call = call._replace(headers=headers, repeatable=False)
        return read_as(FileRemoved, await self._transport.send(call), call)

    async def restore(self, name: str, iteration: int, path: str | None = None) -> Restored:
        """Takes the workspace, or what is at `path`, back to a moment. It is recorded, so it can be undone."""
        body = as_json(RestoreRequest(iteration, path))
        call = self._call("restore", "POST", name, "workspace", "restore")
        call = call._replace(body=body, seconds=TRANSFER_SECONDS)
        return read_as(Restored, await self._transport.send(call), call)

    # ── the workspace as a whole ────────────────────────────────────────────────────────────────────────────

    async def changes(
        self, name: str, *, after: int = 0, path: str | None = None, limit: int = PAGE_MAX
    ) -> WorkspaceChanges:
        """A page of changes behind iteration `after`, oldest first."""
        query = {"after": after, "path": path, "limit": limit}
        call = self._call("list_changes", "GET", name, "workspace", "changes", query=query)
        return read_as(WorkspaceChanges, await self._transport.send(call), call)

    async def follow(self, name: str, *, after: int = 0, path: str | None = None) -> AsyncIterator[IterationMeta]:
        """Changes behind `after`, then those that come, until the caller stops or the connection is lost."""
        query = {"after": after, "path": path}
        call = self._call("follow_changes", "GET", name, "workspace", "changes", query=query)
        async with self._transport.follow(call._replace(headers={"Accept": "text/event-stream"})) as lines:
            async for event in read_events(lines):
                yield msgspec.json.decode(event.data, type=IterationMeta)

    async def compare(
        self, name: str, before: int, after: int | None = None, path: str | None = None
    ) -> "builtins.list[FileDifference]":
        """What differs between two moments (`after` None: now)."""
        differences: list[FileDifference] = []
        cursor: str | None = None
        while True:
            query = {"from": before, "to": after, "path": path, "cursor": cursor, "limit": PAGE_MAX}
            call = self._call("compare", "GET", name, "workspace", "diff", query=query)
            page = read_as(WorkspaceDiff, await self._transport.send(call), call)
            differences += page.differences
            cursor = page.next_cursor
            if cursor is None:
                return differences

    def unified(
        self, name: str, before: int, after: int | None = None, path: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The same as unified diff, in pieces."""
        query = {"from": before, "to": after, "path": path}
        call = self._call("compare", "GET", name, "workspace", "diff", query=query)
        return self._transport.fetch(call._replace(headers={"Accept": "text/x-diff"}, seconds=TRANSFER_SECONDS))

    async def checkpoints(self, name: str, limit: int = PAGE_MAX) -> "builtins.list[WorkspaceCheckpoint]":
        """Named moments, newest first."""
        call = self._call("list_checkpoints", "GET", name, "workspace", "checkpoints", query={"limit": limit})
        return read_as(CheckpointList, await self._transport.send(call), call).checkpoints

    async def checkpoint(self, name: str, label: str) -> WorkspaceCheckpoint:
        """Names the moment that is now."""
        call = self._call("make_checkpoint", "POST", name, "workspace", "checkpoints")
        call = call._replace(body=as_json(CheckpointRequest(label)), repeatable=False)
        return read_as(WorkspaceCheckpoint, await self._transport.send(call), call)

    def archive(
        self, name: str, *, at: int | None = None, path: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The workspace as tar.gz, in pieces."""
        call = self._call("archive", "GET", name, "workspace", "archive", query={"at": at, "path": path})
        return self._transport.fetch(call._replace(headers=_BYTES, seconds=TRANSFER_SECONDS))

    def _call(self, operation: str, method: str, name: str, *parts: str, escaped: str = "", query: Any = None) -> Call:
        base, _, tail = api_path(_PLURAL[self._of], name, *parts, query=query).partition("?")
        path = base + (f"/{escaped}" if escaped else "") + (f"?{tail}" if tail else "")
        instance_id = name if self._of == "instance" else None
        return Call(operation, method, path, seconds=FILES_SECONDS, instance_id=instance_id)
