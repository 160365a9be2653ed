"""Bodies that become files: streamed to disk beside the workspaces, a piece in memory at a time."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

from podium.base.http import Call
from podium.coordinator.api.shelves import in_thread
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.files import FILE_MAX_BYTES

BATCH_BYTES: Final = 1024 * 1024
"""Bytes collected before they are written, in a thread."""


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
            await in_thread(sink.write, bytes(batch))
            batch.clear()
    await in_thread(sink.write, bytes(batch))
    await in_thread(sink.flush)
    return size


def _too_large() -> PodiumError:
    return PodiumError(ErrorCode.MESSAGE_TOO_LARGE, f"a file written here holds at most {FILE_MAX_BYTES} bytes")
