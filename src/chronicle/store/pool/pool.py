"""A pool: the contents of one workspace, or of many, each stored once under its digest and verified whenever it is read."""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chronicle.model.errors import DamagedError, NotFoundError, StorageError
from chronicle.store.pool.batch import PACKED_LIMIT, ZEROS, Arriving, PoolBatch, Writing, replace
from chronicle.store.pool.bodies import Opened, open_body
from chronicle.store.pool.catalogue import LOOSE, UPLOADED, Catalogue, translated
from chronicle.store.pool.flights import Flights
from chronicle.store.pool.loose import LooseFiles
from chronicle.store.pool.manifests import Extent, Manifest
from chronicle.store.pool.presence import Presence
from chronicle.store.pool.remote import Remote
from chronicle.store.pool.users import Users

TOUCH_AFTER_S: Final = 600.0
"""An object that is found again is marked as used when the last mark is older than this, in seconds. A sweep whose grace
period is at least twice as long can't take what a running writer counts on."""

_log = logging.getLogger(__name__)


class Pool:
    """The objects below one directory. Safe for any number of threads and processes; one batch at a time in each process.

    With a `remote` tier, what is missing or damaged here is read from there and kept.
    """

    def __init__(
        self, directory: Path, *, remote: Remote | None, clock: Callable[[], float], touch_after_s: float
    ) -> None:
        self.directory = directory
        self.remote = remote
        self.clock = clock
        self._users = Users(directory)
        with translated(f"opening the pool {directory}"):
            self.loose = LooseFiles(directory)
        self.catalogue = Catalogue(directory)
        self.presence = Presence(directory)
        self.touch_after_s = touch_after_s
        self._writing = Writing(self.catalogue, self.loose, clock, touch_after_s)
        self._batch_lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._flights: Flights[Opened | None] = Flights()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        remote: Remote | None = None,
        clock: Callable[[], float] = time.time,
        touch_after_s: float = TOUCH_AFTER_S,
    ) -> "Pool":
        """Opens the pool, makes it when it is new. A pool isn't taken through a `fork`. `clock` gives seconds since 1970.

        Raises:
            StorageError: the directory can't be used.
            DamagedError: `objects.db` isn't one.
            InvalidInputError: made by a newer Chronicle.
        """
        return cls(directory, remote=remote, clock=clock, touch_after_s=touch_after_s)

    def close(self) -> None:
        """Closes the files. What is being read may be finished."""
        self.catalogue.close()
        self.presence.leave()

    @contextmanager
    def batch(self, *, durable: bool = False) -> Iterator[PoolBatch]:
        """Stores contents: committed when the block is left, given up on an exception.

        With `durable` they are on the disk then; otherwise in the page cache, safe from everything but a crash of the host.
        Waits for another batch of this process. Other processes are kept waiting only by the commit.

        Raises:
            StorageError: the disk refuses; nothing became visible.
        """
        with self._batch_lock, self.catalogue.lent() as connection:
            self.presence.announce()
            batch = PoolBatch(self._writing, connection, durable=durable)
            try:
                yield batch
                batch.commit()
            finally:
                batch.discard()
        for listener in self._listeners:
            listener()

    def when_stored(self, listener: Callable[[], None]) -> None:
        """From now on `listener` is called, quickly and on the storing thread, after each batch of this process."""
        self._listeners.append(listener)

    def read(self, digest: bytes) -> bytes:
        """The whole content, verified.

        Raises:
            NotFoundError: no tier has it.
            DamagedError: it is damaged, and no other tier has it whole.
            StorageError: the disk or the remote tier refuses.
        """
        opened = self.object(digest)
        if opened.manifest is None:
            return opened.content
        return b"".join(self._pieces(opened.manifest))

    def pieces(self, digest: bytes) -> Iterator[bytes]:
        """The content in pieces of at most 4 MiB, each verified before it is given out. Raises as `read`, also later on."""
        opened = self.object(digest)
        return iter((opened.content,)) if opened.manifest is None else self._pieces(opened.manifest)

    def size(self, digest: bytes) -> int:
        """The content's size in bytes. Raises as `read`."""
        record = self.catalogue.find(digest)
        if record is not None:
            return record.size
        opened = self.object(digest)
        return len(opened.content) if opened.manifest is None else opened.manifest.total_size

    def copy_to(self, digest: bytes, fd: int) -> int:
        """Writes the content into a file, which then has exactly it; returns its size. Raises as `read`.

        Holes stay holes. On an error the file has an unspecified part of the content.
        """
        opened = self.object(digest)
        with translated("writing a content to a file"):
            if opened.manifest is None:
                _write(fd, opened.content, 0)
                os.ftruncate(fd, len(opened.content))
                return len(opened.content)
            os.ftruncate(fd, opened.manifest.total_size)
            for extent in opened.manifest.extents():
                if extent.digest is None:
                    _clear(fd, extent)
                else:
                    _write(fd, self._chunk(extent), extent.offset)
            return opened.manifest.total_size

    def contains(self, digest: bytes) -> bool:
        """Whether the object is known here or is in the remote tier.

        Raises:
            StorageError: the remote tier had to be asked and can't be reached.
        """
        if self.catalogue.find(digest) is not None:
            return True
        return self.remote is not None and self.remote.exists(digest)

    def register(self, workspace_id: str, root: Path) -> None:
        """As `Users.register`."""
        self._users.register(workspace_id, root)

    def unregister(self, workspace_id: str) -> None:
        """As `Users.unregister`."""
        self._users.unregister(workspace_id)

    def users(self) -> dict[str, Path]:
        """The workspaces that use this pool, with their directories."""
        return self._users.all()

    def object(self, digest: bytes) -> Opened:
        """One object, verified; mended from the remote tier when it is damaged or missing here. Raises as `read`."""
        opened, damage = self._here(digest)
        if opened is None and self.remote is not None:
            opened = self._flights.join(digest, lambda: self._fetched(digest))
        if opened is not None:
            return opened
        if damage is not None:
            raise damage
        raise NotFoundError(f"no object {digest.hex()} is in {self.directory}")

    def body(self, digest: bytes) -> bytes | None:
        """The body as it lies here, unverified; None when the object isn't known.

        Raises:
            DamagedError: it is known, and its body is gone.
        """
        for _ in range(
            2
        ):  # a sweep or a replacement may come between looking and reading: what is true then is told the second time
            record = self.catalogue.find(digest)
            if record is None:
                return None
            if record.body is not None:
                return record.body
            if record.place == LOOSE:
                with translated(f"reading object {digest.hex()}"):
                    body = self.loose.read(digest)
                if body is not None:
                    return body
        raise DamagedError(f"object {digest.hex()}: its bytes are gone")

    def _here(self, digest: bytes) -> tuple[Opened | None, DamagedError | None]:
        """From here: the object, or what is wrong with it, or neither when it isn't known."""
        try:
            body = self.body(digest)
            return (None if body is None else open_body(digest, body)), None
        except DamagedError as damage:
            return None, damage

    def _fetched(self, digest: bytes) -> Opened | None:
        """From the remote tier, kept here."""
        assert self.remote is not None
        opened, _ = self._here(digest)
        if opened is not None:  # it came between our looking and our asking
            return opened
        body = self.remote.get(digest)
        if body is None:
            return None
        opened = open_body(digest, body)
        try:
            self._keep(digest, body, opened)
        except StorageError as error:  # it can be read all the same
            _log.warning("object %s came from the remote tier and can't be kept: %s", digest.hex(), error)
        return opened

    def _keep(self, digest: bytes, body: bytes, opened: Opened) -> None:
        size = len(opened.content) if opened.manifest is None else opened.manifest.total_size
        manifest = opened.manifest is not None
        with translated(f"keeping object {digest.hex()}"):
            written = self.loose.write(body) if len(body) > PACKED_LIMIT else None
            try:
                arriving = Arriving(size, manifest, len(body), None if written else body, written)
                with self.catalogue.transaction() as writer:
                    now = int(self.clock() * 1000)
                    replace(writer, self.loose, digest, arriving, now=now, uploaded=UPLOADED)
            except BaseException:
                if written is not None:
                    Path(written).unlink(missing_ok=True)
                raise

    def _pieces(self, manifest: Manifest) -> Iterator[bytes]:
        for extent in manifest.extents():
            if extent.digest is not None:
                yield self._chunk(extent)
                continue
            for start in range(0, extent.size, len(ZEROS)):
                yield ZEROS[: min(len(ZEROS), extent.size - start)]

    def _chunk(self, extent: Extent) -> bytes:
        assert extent.digest is not None
        try:
            opened = self.object(extent.digest)
        except NotFoundError as error:
            raise DamagedError(f"chunk {extent.digest.hex()} of a content is missing") from error
        if opened.manifest is not None or len(opened.content) != extent.size:
            raise DamagedError(f"chunk {extent.digest.hex()} isn't of the size its manifest says")
        return opened.content


def _write(fd: int, data: bytes, offset: int) -> None:
    written = os.pwrite(fd, data, offset)
    rest = memoryview(data)[written:]
    while rest:
        offset += written
        written = os.pwrite(fd, rest, offset)
        rest = rest[written:]


def _clear(fd: int, extent: Extent) -> None:
    """Zeros where the file still has other bytes; a hole stays one."""
    at, end = extent.offset, extent.offset + extent.size
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        if at < end:
            until = min(end, os.lseek(fd, at, os.SEEK_HOLE), at + len(ZEROS))
            _write(fd, ZEROS[: until - at], at)
            at = until
