"""Bodies that become files: streamed to disk beside the workspaces, a piece in memory at a time."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar

from podium.base.http import Call
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.files import FILE_MAX_BYTES

BATCH_BYTES: Final = 1024 * 1024
"""Bytes collected before they are written, in a thread."""

T = TypeVar("T")


class Incoming(NamedTuple):
    """A received body."""

    file: Path
    size: int


class Inbox:
    """A directory for bodies that are being received. What an earlier coordinator left there goes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        shutil.rmtree(directory, ignore_errors=True)

    @asynccontextmanager
    async def received(self, call: Call) -> AsyncIterator[Incoming]:
        """The body of a call as a file, which vanishes at the end.

        Raises:
            PodiumError: `message_too_large`, as soon as that is known; `unsupported_media_type` for a form.
        """
        if call.headers.get("content-type", "").lower().startswith("multipart/"):
            raise PodiumError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "send the file's bytes as they are, not a form")
        if int(call.headers.get("content-length") or 0) > FILE_MAX_BYTES:
            raise _too_large()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix="body-") as sink:
            size = await _receive(call, sink)
            yield Incoming(Path(sink.name), size)


async def _receive(call: Call, sink: IO[bytes]) -> int:
    size, batch = 0, bytearray()
    async for piece in call.stream():
        size += len(piece)
        if size > FILE_MAX_BYTES:
            raise _too_large()
        batch += piece
        if len(batch) >= BATCH_BYTES:
            await _in_thread(sink.write, bytes(batch))
            batch.clear()
    await _in_thread(sink.write, bytes(batch))
    await _in_thread(sink.flush)
    return size


def _too_large() -> PodiumError:
    return PodiumError(ErrorCode.MESSAGE_TOO_LARGE, f"a file written here holds at most {FILE_MAX_BYTES} bytes")


async def _in_thread(what: Callable[..., T], *args: Any) -> T:
    """The result of `what` in a thread. That can't be cut short: who is cancelled meanwhile waits for its end first."""
    running = asyncio.get_running_loop().run_in_executor(None, partial(copy_context().run, what, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()
        raise
