"""Files of a workspace, as the public API shows them."""

import base64
from typing import Any, Literal

import msgspec

from podium.client.call import FILES_SECONDS, Call, api_path, file_path, read_as
from podium.client.transport import Transport


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a directory. Sizes in bytes, `mtime` epoch milliseconds; `iteration` of its last change."""

    name: str
    path: str
    type: str
    size: int = 0
    mode: int = 0
    mtime: int = 0
    iteration: int = 0


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
    size: int | None = None
    hash: str | None = None
    ts: int = 0


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
    """File operations of instances; each request is given 15 s."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def read(self, instance_id: str, path: str) -> FileContent:
        """The newest version of a file."""
        return await self._content("read_file", instance_id, file_path(path))

    async def history(self, instance_id: str, path: str) -> list[IterationMeta]:
        """All recorded changes of a path, newest first."""
        iterations: list[IterationMeta] = []
        cursor: str | None = None
        while True:
            address = _address(instance_id, f"{file_path(path)}/history", cursor=cursor)
            call = _call("file_history", instance_id, address)
            page = read_as(_History, await self._transport.send(call), call)
            iterations += page.iterations
            cursor = page.next_cursor
            if cursor is None:
                return iterations

    async def at(self, instance_id: str, path: str, iteration: int) -> FileContent:
        """A file as it was at that moment of the workspace."""
        return await self._content("file_at_iteration", instance_id, f"{file_path(path)}/at/{iteration}")

    async def _content(self, operation: str, instance_id: str, path: str) -> FileContent:
        call = _call(operation, instance_id, _address(instance_id, path))
        return read_as(FileContent, await self._transport.send(call), call)

    async def list(self, instance_id: str, path: str | None = None, depth: int | None = None) -> list[FileEntry]:
        """The entries below `path` (the root of the workspace when None), `depth` levels deep (1 to 16)."""
        entries: list[FileEntry] = []
        cursor: str | None = None
        while True:
            query = {"path": path, "depth": depth, "cursor": cursor}
            call = _call("list_files", instance_id, api_path("instances", instance_id, "files", query=query))
            page = read_as(_Directory, await self._transport.send(call), call)
            entries += page.entries
            cursor = page.next_cursor
            if cursor is None:
                return entries


def _call(operation: str, instance_id: str, path: str) -> Call:
    return Call(operation, "GET", path, seconds=FILES_SECONDS, instance_id=instance_id)


def _address(instance_id: str, escaped: str, **query: Any) -> str:
    base, _, tail = api_path("instances", instance_id, "files", query=query).partition("?")
    return f"{base}/{escaped}" + (f"?{tail}" if tail else "")
