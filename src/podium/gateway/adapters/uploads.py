"""A multipart upload: streamed to an unnamed file on disk while it is hashed, a megabyte in memory at most."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import IO, Any, Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from podium.wire.errors import ErrorCode, FieldError, PodiumError
from podium.wire.limits import BUNDLE_MAX_BYTES

BATCH_BYTES: Final = 1024 * 1024
"""Bytes collected before they are hashed and written, in a thread."""

FIELD_MAX_BYTES: Final = 1024
"""Longest text field of the form."""

PARTS_MAX: Final = 16
"""Most parts of the form."""

HEADER_MAX_BYTES: Final = 4096
"""Longest header of a part."""

FILE_FIELD: Final = "file"


class Upload:
    """A received form: its text fields, and the file on disk, which vanishes when this is closed."""

    def __init__(self, directory: Path) -> None:
        self.fields: dict[str, str] = {}
        self.size = 0
        self.has_file = False
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=directory, prefix="upload-")  # noqa: SIM115 - closed by close
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hash of the file, 64 hex characters."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends to the file; blocking."""
        self._hash.update(data)
        self.file.write(data)
        self.size += len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file from its beginning."""
        await asyncio.to_thread(self.file.seek, 0)
        while chunk := await asyncio.to_thread(self.file.read, BATCH_BYTES):
            yield chunk

    def close(self) -> None:
        """Frees the disk."""
        self.file.close()


async def receive_upload(content_type: str, body: AsyncIterable[bytes], directory: Path) -> Upload:
    """Reads a `multipart/form-data` body with one `file`. The caller closes what is returned.

    Raises:
        PodiumError: `unsupported_media_type`, `invalid_request`, `bundle_too_large`; nothing stays on disk.
    """
    upload = Upload(directory)
    try:
        form = _Form(boundary_of(content_type))
        async for data in body:
            form.feed(data)
            if form.pending_bytes >= BATCH_BYTES:
                await asyncio.to_thread(upload.write, form.take())
        form.finish()
        await asyncio.to_thread(upload.write, form.take())
        upload.fields = form.fields
        upload.has_file = form.has_file
    except BaseException:
        # Also a cancellation: the file must not outlive the request.
        upload.close()
        raise
    return upload


def boundary_of(content_type: str) -> bytes:
    """The boundary of a form.

    Raises:
        PodiumError: `unsupported_media_type` when it is no form, `invalid_request` without a boundary.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise PodiumError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "send multipart/form-data")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise _broken("the form has no boundary")
    return boundary


class _Form:
    """Parses the form piece by piece. Text fields are kept; bytes of the file wait until they are taken."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.has_file = False
        self.pending_bytes = 0
        self._pending: list[bytes] = []
        self._file_bytes = 0
        self._parts = 0
        self._name = ""
        self._text = b""
        self._header = [b"", b""]
        self._ended = False
        callbacks: Any = {
            "on_part_begin": self._part_begins,
            "on_part_data": self._part_data,
            "on_part_end": self._part_ends,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise _broken("the form is malformed") from error

    def finish(self) -> None:
        if not self._ended:
            raise _broken("the form is cut off")

    def take(self) -> bytes:
        data = b"".join(self._pending)
        self._pending.clear()
        self.pending_bytes = 0
        return data

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise _broken("the form has too many parts")
        self._name, self._text = "", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]
        self._check_header()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._header[0]) + len(self._header[1]) > HEADER_MAX_BYTES:
            raise _broken("a header of the form is too long")

    def _header_ends(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            _, options = parse_options_header(self._header[1])
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._header = [b"", b""]

    def _headers_end(self) -> None:
        if (self._name == FILE_FIELD and self.has_file) or self._name in self.fields:
            raise _broken(f"{self._name!r} is there twice")
        self.has_file |= self._name == FILE_FIELD

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name != FILE_FIELD:
            self._text += data[start:end]
            if len(self._text) > FIELD_MAX_BYTES:
                raise _broken(f"{self._name[:40]!r} is too long")
            return
        self._file_bytes += end - start
        if self._file_bytes > BUNDLE_MAX_BYTES:
            raise PodiumError(ErrorCode.BUNDLE_TOO_LARGE, f"a bundle holds at most {BUNDLE_MAX_BYTES} bytes")
        self._pending.append(data[start:end])
        self.pending_bytes += end - start

    def _part_ends(self) -> None:
        if self._name and self._name != FILE_FIELD:
            self.fields[self._name] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True


def _broken(message: str) -> PodiumError:
    return PodiumError(ErrorCode.INVALID_REQUEST, message, errors=[FieldError("body", message)])
