"""Objects in S3, or in any server that speaks it: shared by all hosts of a cluster."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from podium.base.clock import Clock
from podium.base.objects.keys import check_key, check_metadata
from podium.base.objects.port import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStoreUnavailableError,
)
from podium.base.objects.s3_errors import explained, may_pass
from podium.base.objects.s3_settings import S3Settings, connect
from podium.base.objects.spool import Spool

_log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 1024 * 1024
"""Largest piece `get` gives."""

PART_BYTES: Final = 8 * 1024 * 1024
"""What is larger is not held in memory; also the size of a part of a multipart upload (S3 allows 10,000 parts of an object,
so that it may have 78 GiB)."""

PARTS_AT_ONCE: Final = 2
"""Parts of one object under way; with the one being filled they are what an upload holds in memory."""

CREATE_MAX_BYTES: Final = 5 * 1024**3
"""Largest object that can be created conditionally: what S3 takes in one request."""

CREATE_ATTEMPTS: Final = 4
CREATE_PAUSE_S: Final = 0.2
"""How often a conditional put is tried, and the pause, in seconds, before the second try; it doubles. The client library
repeats only what can't have been done; whether a put whose answer was lost was done is seen by its mark."""

READING_S: Final = 6 * 3600.0
"""Longest a whole object may take to be read, in seconds; one that stands still is given up long before."""

RESUME_PAUSE_S: Final = 0.5
"""Pause, in seconds, before the rest of an object is asked for on a new connection."""

CLOSE_S: Final = 10.0
"""How long, in seconds, closing waits for steps that nobody waits for any more."""

_PAGE: Final = 1000
_OURS: Final = "podium-"
"""What names of metadata begin with in S3, where some names (`content-type`) mean something."""

_PUT: Final = "put-id"
_SUM: Final = "content-sha256"
"""Our own metadata: the mark of the put that made the object, and the SHA-256 of its bytes in hex, where they were known
before they were sent (all but multipart uploads)."""

_T = TypeVar("_T")


class _Clients(NamedTuple):
    """For requests that carry no object, for reading one, and for those that carry at most a part of one."""

    asking: S3Store
    reading: S3Store
    writing: S3Store


@dataclass
class _Reading:
    """An object being read: which one, how far, and the stream of the rest (None: to be opened)."""

    key: str
    e_tag: str | None
    stream: AsyncIterator[bytes] | None
    at: int = 0


class S3Objects:
    """The port over a bucket. What a cancelled or failed put has sent is never seen; parts of a multipart upload stay hidden
    in the bucket until a rule of its life cycle removes them."""

    def __init__(self, settings: S3Settings, clock: Clock, spool: Path) -> None:
        """Opens nothing yet. `spool`: directory for bodies too large for memory, whose files have no names."""
        self._settings = settings
        self._limits = settings.limits
        self._clock = clock
        self._spool = spool
        self._failure: str | None = None
        self._steps: dict[asyncio.Future[Any], object] = {}
        limits = settings.limits
        self._clients: _Clients | None = _Clients(
            asking=connect(settings, limits.request_s),
            reading=connect(settings, READING_S, limits.stall_s / 2),  # so that time is left to take it up again
            writing=connect(settings, limits.transfer_s(PART_BYTES)),
        )

    def __repr__(self) -> str:
        return f"S3Objects(bucket={self._settings.bucket!r}, prefix={self._settings.prefix!r})"

    async def put(
        self, key: str, data: AsyncIterable[bytes], *, metadata: dict[str, str] | None = None, create: bool = False
    ) -> ObjectInfo:
        """See `ObjectStore.put`. `modified_at` of the result is by the clock of this host.

        Raises:
            ValueError: `create`, and more than `CREATE_MAX_BYTES`.
        """
        check_key(key)
        kept = check_metadata(metadata)
        pieces = aiter(data)
        try:
            first = await _first(pieces)
            if len(first) > PART_BYTES:
                size = await self._put_large(key, _joined(first, pieces), kept, create=create)
            else:
                size = len(first)
                await self._put_body(key, first, hashlib.sha256(first).hexdigest(), kept, create=create)
        finally:
            await _end(pieces)
        return ObjectInfo(key, size, kept, self._clock.now_ms())

    async def head(self, key: str) -> ObjectInfo:
        """See `ObjectStore.head`."""
        info, _ = await self._head(key)
        return info

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """See `ObjectStore.get`. A connection that breaks is taken up where it was.

        Raises:
            ObjectDamagedError: after the last chunk, when the bytes are not those that were put.
        """
        check_key(key)
        async with self._limited(self._limits.operation_s, key):
            found = await obstore.get_async(self._use().reading, key)
        wanted = _attributes(found.attributes).get(_SUM)
        size, digest = found.meta["size"], hashlib.sha256()
        reading = _Reading(key, found.meta["e_tag"], aiter(found.stream(min_chunk_size=CHUNK_BYTES // 2)))
        while (piece := await self._piece(reading)) is not None:
            reading.at += len(piece)
            if wanted is not None:
                digest.update(piece)
            for start in range(0, len(piece), CHUNK_BYTES):
                yield piece[start : start + CHUNK_BYTES]
        if reading.at != size or (wanted is not None and digest.hexdigest() != wanted):
            raise ObjectDamagedError(f"the object {key} is damaged")

    async def list(self, prefix: str, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """See `ObjectStore.list`. A page of 1,000 is held at a time."""
        directory = prefix.rpartition("/")[0] or None  # the client library lists whole directories
        pages = aiter(obstore.list(self._use().asking, directory, offset=after, chunk_size=_PAGE))
        while (page := await self._next(pages, self._limits.operation_s, None)) is not None:
            for entry in page:
                if entry["path"].startswith(prefix):
                    yield ObjectInfo(entry["path"], entry["size"], {}, _milliseconds(entry["last_modified"]))

    async def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        check_key(key)
        try:
            async with self._limited(self._limits.operation_s, key):
                await obstore.delete_async(self._use().asking, key)
        except ObjectMissingError:
            return

    async def check(self) -> None:
        """See `ObjectStore.check`. Asks for an object that is not there, which costs next to nothing; writes nothing."""
        try:
            async with self._limited(self._limits.check_s, None):
                await obstore.get_async(self._use().asking, ".check")
        except ObjectMissingError:
            return

    async def close(self) -> None:
        """See `ObjectStore.close`. Connections are closed with the clients that hold them."""
        self._clients = None
        if self._steps:
            await asyncio.wait(set(self._steps), timeout=CLOSE_S)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _put_large(self, key: str, data: AsyncIterable[bytes], metadata: dict[str, str], *, create: bool) -> int:
        """Puts what does not fit into memory; returns its size.

        S3 makes a multipart upload conditional when it is completed, which the client library can't ask for: what must
        be created goes to a file first, and then in one request whose body is that file, mapped.
        """
        if not create:
            return await self._put_parts(key, data, metadata)
        if await self._marked_by(key) is not None:
            raise ObjectExistsError(key)  # what may take long need not begin
        async with Spool(self._spool, CREATE_MAX_BYTES) as spool:
            body = await spool.take(data)
            await self._put_body(key, body.buffer, body.sha256, metadata, create=True)
            return body.size

    async def _put_parts(self, key: str, data: AsyncIterable[bytes], metadata: dict[str, str]) -> int:
        """A multipart upload. Unless it is completed there is no object."""
        writer = obstore.open_writer_async(
            self._use().writing,
            key,
            attributes=_sent(metadata, None, None),
            buffer_size=PART_BYTES,
            max_concurrency=PARTS_AT_ONCE,
        )
        size = 0
        async for piece in data:
            for start in range(0, len(piece), PART_BYTES):
                part = piece[start : start + PART_BYTES]
                # A write waits for parts before it, so its limit is theirs.
                async with self._limited(self._limits.transfer_s(PARTS_AT_ONCE * PART_BYTES), None):
                    await self._uncut(writer.write(part), writer)
            size += len(piece)
        async with self._limited(self._limits.transfer_s((PARTS_AT_ONCE + 1) * PART_BYTES), None):
            await self._uncut(writer.close(), writer)
        return size

    async def _put_body(self, key: str, body: Any, sha256: str, metadata: dict[str, str], *, create: bool) -> None:
        """Puts a buffer in one request; what was sent is repeated only where that is safe."""
        mark = secrets.token_hex(16)
        seconds = self._limits.transfer_s(len(body))
        client = self._use().writing if len(body) <= PART_BYTES else connect(self._settings, seconds)
        attributes = _sent(metadata, mark, sha256)

        async def send(mode: Any) -> None:
            async with self._limited(seconds, None, AlreadyExistsError):
                await obstore.put_async(client, key, body, attributes=attributes, mode=mode, use_multipart=False)

        if create:
            await self._create(key, mark, seconds, lambda: send("create"))
        else:
            await send("overwrite")

    async def _create(self, key: str, mark: str, seconds: float, send: Callable[[], Awaitable[None]]) -> None:
        """Sends until it is known whether this put made the object; no try begins when half of `seconds` is over.

        Raises:
            ObjectExistsError: another one did.
            ObjectStoreUnavailableError: it is not known.
        """
        end = asyncio.get_running_loop().time() + seconds / 2
        for attempt in range(CREATE_ATTEMPTS):
            try:
                return await send()
            except AlreadyExistsError:
                found = await self._marked_by(key)
                if found == mark:  # the answer to an earlier try was lost
                    return None
                if found is not None:
                    raise ObjectExistsError(key) from None
                # Nothing there: another write or a removal was under way, and S3 asks to try again.
            except ObjectStoreUnavailableError as error:
                over = asyncio.get_running_loop().time() >= end
                if over or attempt == CREATE_ATTEMPTS - 1 or not may_pass(error):
                    raise
            await asyncio.sleep(CREATE_PAUSE_S * 2**attempt)
        raise ObjectStoreUnavailableError(f"the bucket {self._settings.bucket}: the object {key} is being changed")

    async def _marked_by(self, key: str) -> str | None:
        """The mark of the put that made the object; empty for one made by others, None where there is no object."""
        try:
            _, attributes = await self._head(key)
        except ObjectMissingError:
            return None
        return attributes.get(_PUT, "")

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _head(self, key: str) -> tuple[ObjectInfo, dict[str, str]]:
        """What is known of the object, and all its metadata."""
        check_key(key)
        async with self._limited(self._limits.operation_s, key):
            found = await obstore.get_async(self._use().asking, key, options={"head": True})
        attributes = _attributes(found.attributes)
        metadata = {name.removeprefix(_OURS): value for name, value in attributes.items() if name.startswith(_OURS)}
        meta = found.meta
        return ObjectInfo(key, meta["size"], metadata, _milliseconds(meta["last_modified"])), attributes

    async def _piece(self, reading: _Reading) -> bytes | None:
        """The next piece of an object, None at its end. Where a connection broke the same object is asked for the rest,
        until nothing came for `stall_s`."""
        now = asyncio.get_running_loop().time
        end = now() + self._limits.stall_s
        while True:
            try:
                if reading.stream is None:
                    async with self._limited(self._limits.stall_s, reading.key):
                        rest: Any = {"range": {"offset": reading.at}, "if_match": reading.e_tag}
                        found = await obstore.get_async(self._use().reading, reading.key, options=rest)
                    reading.stream = aiter(found.stream(min_chunk_size=CHUNK_BYTES // 2))
                return await self._next(reading.stream, end - now(), reading.key)
            except ObjectStoreUnavailableError as error:
                reading.stream = None
                if not may_pass(error) or now() + RESUME_PAUSE_S >= end:
                    raise
            await asyncio.sleep(RESUME_PAUSE_S)

    async def _next(self, stream: AsyncIterator[_T], seconds: float, key: str | None) -> _T | None:
        """The next of a stream within `seconds`; None at its end."""
        async with self._limited(seconds, key):
            try:
                return await self._uncut(anext(stream), stream)
            except StopAsyncIteration:
                return None

    @asynccontextmanager
    async def _limited(
        self, seconds: float, key: str | None, passed: type[BaseException] | tuple[()] = ()
    ) -> AsyncIterator[None]:
        """Bounds what is done within, and turns its failures into those of the port, without what the server said.
        `passed` is left as it is; `key` is what may be missing."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except passed:
            raise
        except (BaseError, OSError) as error:  # a time limit is an OSError, and so is what is missing
            told = explained(error, self._settings.bucket, key, seconds)
            self._note(None if isinstance(told, ObjectMissingError) else str(told))
            raise told from None
        self._note(None)

    def _note(self, failure: str | None) -> None:
        """Says once that S3 can't be used and why, and once that it can be again."""
        if (failure is None) == (self._failure is None):
            return
        if failure is not None:
            _log.warning("object_store_unavailable", extra={"reason": failure})
        else:
            _log.info("object_store_available", extra={"bucket": self._settings.bucket})
        self._failure = failure

    async def _uncut(self, work: Awaitable[_T], held: object) -> _T:
        """Waits for a step of a stream or a writer of the client library, and lets it come to its end though the wait is
        cancelled or over: what is dropped in the middle of a step from outside the library's own threads panics. The
        client's limits end every step; `held` is what it works on, and must live until then.
        """
        assert isinstance(work, asyncio.Future)
        self._steps[work] = held
        work.add_done_callback(self._ended)
        shielded: asyncio.Future[_T] = asyncio.shield(work)
        try:
            return await shielded
        finally:
            # A failure knows this frame, and these know the failure: a connection would wait for the garbage collector.
            del work, held, shielded

    def _ended(self, step: asyncio.Future[Any]) -> None:
        self._steps.pop(step, None)
        if not step.cancelled():
            step.exception()  # seen: nobody may be left to hear it, and nobody else should, for what it says

    def _use(self) -> _Clients:
        if self._clients is None:
            raise ObjectStoreUnavailableError("the store is closed")
        return self._clients


async def _first(pieces: AsyncIterator[bytes]) -> bytes:
    """All there is, or just more than fits into memory."""
    found = bytearray()
    async for piece in pieces:
        found += piece
        if len(found) > PART_BYTES:
            break
    return bytes(found)


async def _end(pieces: AsyncIterator[Any]) -> None:
    """Ends what may not have been read to its end, and must not wait for the garbage collector to be."""
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _sent(metadata: dict[str, str], mark: str | None, sha256: str | None) -> dict[str, str]:
    own = {_PUT: mark, _SUM: sha256}
    return {_OURS + name: value for name, value in metadata.items()} | {k: v for k, v in own.items() if v is not None}


def _attributes(found: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in found.items()}


def _milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)
