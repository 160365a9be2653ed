"""Storing: contents are hashed, compared with what is there, compressed, and committed together."""

import sqlite3
from collections.abc import Callable
from typing import Final, NamedTuple

from blake3 import blake3

from chronicle.model.errors import StorageError
from chronicle.store.faults import fault
from chronicle.store.pool.bodies import Compressor
from chronicle.store.pool.catalogue import LOOSE, PACKED, WAITING, Catalogue, failure, translated
from chronicle.store.pool.chunking import Cutter, DescriptorSource, MemorySource, Source, read_exactly
from chronicle.store.pool.loose import LooseFiles, discard
from chronicle.store.pool.manifests import LARGE, ChunkName, Manifest, encode_manifest

PACKED_LIMIT: Final = 32 << 10
"""Bodies up to this many bytes go into `objects.db`; larger ones are cheaper as files."""

PENDING_BYTES: Final = 8 << 20
PENDING_OBJECTS: Final = 2048
"""What one batch holds before it commits early, in bytes of packed bodies and in objects: bounds memory and the transaction."""

ZEROS: Final = bytes(1 << 20)


class Stored(NamedTuple):
    """Content that is in the pool: its BLAKE3 `digest` and its `size` in bytes."""

    digest: bytes
    size: int


class Arriving(NamedTuple):
    """An object that the next commit stores: its `body`, or the path where that was `written` beside."""

    size: int
    manifest: bool
    stored: int
    body: bytes | None
    written: str | None


class Writing:
    """What a pool needs for storing; one batch at a time uses it."""

    def __init__(
        self, catalogue: Catalogue, loose: LooseFiles, clock: Callable[[], float], touch_after_s: float
    ) -> None:
        self.catalogue = catalogue
        self.loose = loose
        self.clock = clock
        self.touch_after_ms = int(touch_after_s * 1000)
        self.compressor = Compressor()
        self.cutter = Cutter()


class PoolBatch:
    """Contents that become visible together when the batch is left, but for batches so large that they commit in parts.

    What is stored twice is stored once; finding an object counts as using it. For the thread that opened it.
    """

    def __init__(self, writing: Writing, connection: sqlite3.Connection, *, durable: bool) -> None:
        self._writing = writing
        self._connection = connection
        self._durable = durable
        self._arriving: dict[bytes, Arriving] = {}
        self._replacing: dict[bytes, Arriving] = {}
        self._mending: set[bytes] = set()  # known, but not there as they should be: what comes now replaces them
        self._found: dict[bytes, int] = {}  # objects this durable batch counts on, with their place
        self._bytes = 0
        self._failed = False

    def add(self, data: bytes | memoryview) -> Stored:
        """Stores content.

        Raises:
            StorageError: the disk refuses; nothing of the batch becomes visible.
        """
        size = len(data)
        if size > LARGE:
            return self._add_large(MemorySource(memoryview(data)))
        digest = blake3(data).digest()
        if not self._counted(digest):
            self._note(digest, size, self._writing.compressor.body(data), manifest=False)
        return Stored(digest, size)

    def add_file(self, fd: int, size: int) -> Stored:
        """Stores the first `size` bytes of a file, read by position from 0; fewer when it has become shorter.

        Content over 4 MiB is never whole in memory. Looking for holes moves the descriptor's position.

        Raises:
            OSError: the file can't be read. The batch may go on without it.
            StorageError: the disk refuses; nothing of the batch becomes visible.
        """
        if size <= LARGE:
            return self.add(read_exactly(fd, size))
        stored = self._add_large(DescriptorSource(fd, size))
        # It was cut short meanwhile: small content is never a manifest, so that chunks never are.
        return stored if stored.size > LARGE else self.add(read_exactly(fd, LARGE))

    def commit(self) -> None:
        """Makes visible what was added so far.

        Raises:
            StorageError: the disk refuses, or did when an earlier part of this batch was to be committed.
        """
        if self._failed:
            raise StorageError("an earlier part of this batch could not be stored")
        if not (self._arriving or self._replacing or self._found):
            return
        fault("pool.written")
        self._failed = True
        self._write()
        self._failed = False
        fault("pool.committed")
        self._forget()

    def discard(self) -> None:
        """Forgets what was not committed, with its files."""
        for arriving in (*self._arriving.values(), *self._replacing.values()):
            if arriving.written is not None:
                discard(arriving.written)
        self._forget()

    def _write(self) -> None:
        loose = self._writing.loose
        now = int(self._writing.clock() * 1000)
        with self._writing.catalogue.transaction(durable=self._durable) as writer:
            _insert(writer, self._arriving, now)
            for digest, arriving in self._arriving.items():
                if arriving.written is not None:
                    loose.place(arriving.written, digest)
            for digest, arriving in self._replacing.items():
                replace(writer, loose, digest, arriving, now=now, uploaded=WAITING)
            if self._durable:
                self._make_durable(writer, now)
            fault("pool.placed")

    def _add_large(self, source: Source) -> Stored:
        whole = blake3()
        chunks = []
        at = 0
        for offset, data in self._writing.cutter.chunks(source):
            _hash_zeros(whole, offset - at)
            whole.update(data)
            chunks.append(ChunkName(self.add(data).digest.hex(), offset, len(data)))
            at = offset + len(data)
        end = max(at, source.present())
        _hash_zeros(whole, end - at)
        stored = Stored(whole.digest(), end)
        if end > LARGE and not self._counted(stored.digest):
            body = self._writing.compressor.manifest_body(stored.digest, encode_manifest(Manifest(end, chunks)))
            self._note(stored.digest, end, body, manifest=True)
        return stored

    def _counted(self, digest: bytes) -> bool:
        """Whether the object is there (or about to be) and can be counted on: no sweep takes it while the grace period lasts."""
        if digest in self._arriving or digest in self._replacing:
            return True
        try:
            found = self._connection.execute(_LOOK, (digest,)).fetchone()
            if found is None:
                return False
            place, stored, used_at = found
            if place == LOOSE and self._writing.loose.stored(digest) != stored:
                self._mending.add(digest)
                return False
        except (sqlite3.Error, OSError) as error:
            raise failure("looking for an object", error) from error
        now = int(self._writing.clock() * 1000)
        if now - used_at >= self._writing.touch_after_ms and not self._touched(digest, now):
            return False
        if self._durable:
            self._found[digest] = place
        return True

    def _touched(self, digest: bytes, now: int) -> bool:
        """Says at once, not at the commit, that the object is used; False when a sweep was quicker."""
        with self._writing.catalogue.transaction() as writer:
            return writer.execute("UPDATE object SET used_at = ? WHERE digest = ?", (now, digest)).rowcount == 1

    def _note(self, digest: bytes, size: int, body: bytes, *, manifest: bool) -> None:
        target = self._replacing if digest in self._mending else self._arriving
        if len(body) <= PACKED_LIMIT:
            target[digest] = Arriving(size, manifest, len(body), body, None)
            self._bytes += len(body)
        else:
            with translated("writing an object"):
                written = self._writing.loose.write(body, durable=self._durable)
            target[digest] = Arriving(size, manifest, len(body), None, written)
        if self._bytes > PENDING_BYTES or len(self._arriving) >= PENDING_OBJECTS:
            self.commit()

    def _make_durable(self, writer: sqlite3.Connection, now: int) -> None:
        """Files reach the disk before the commit does; the touch makes sure that there is a commit, which takes with it
        all that was committed before it."""
        loose = self._writing.loose
        for arrivals in (self._arriving, self._replacing):
            for digest in (digest for digest, arriving in arrivals.items() if arriving.written is not None):
                loose.make_durable(digest)
        for digest in (digest for digest, place in self._found.items() if place == LOOSE):
            loose.make_durable(digest)
        writer.executemany("UPDATE object SET used_at = ? WHERE digest = ?", [(now, digest) for digest in self._found])

    def _forget(self) -> None:
        self._arriving.clear()
        self._replacing.clear()
        self._mending.clear()
        self._found.clear()
        self._bytes = 0


def replace(
    writer: sqlite3.Connection, loose: LooseFiles, digest: bytes, arriving: Arriving, *, now: int, uploaded: int
) -> None:
    """Within a transaction: the object has this body from now on, wherever an earlier one lay. It may be new. `now` in ms."""
    place = PACKED if arriving.written is None else LOOSE
    writer.execute(_REPLACE, (digest, arriving.size, arriving.manifest, place, arriving.stored, now, now, uploaded))
    (number,) = writer.execute("SELECT id FROM object WHERE digest = ?", (digest,)).fetchone()
    if arriving.written is not None:
        loose.place(arriving.written, digest)
        writer.execute("DELETE FROM packed WHERE id = ?", (number,))
    else:
        loose.remove(digest)
        writer.execute("INSERT OR REPLACE INTO packed VALUES (?, ?)", (number, arriving.body))


_LOOK: Final = "SELECT place, stored, used_at FROM object WHERE digest = ?"

_REPLACE: Final = """
INSERT INTO object (digest, size, manifest, place, stored, created_at, used_at, uploaded) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET size = excluded.size, manifest = excluded.manifest, place = excluded.place,
    stored = excluded.stored, used_at = excluded.used_at, uploaded = excluded.uploaded
"""


def _insert(writer: sqlite3.Connection, arriving: dict[bytes, Arriving], now: int) -> None:
    """Inserts what is arriving; what another process stored meanwhile is dropped, theirs is as good and as young."""
    (last,) = writer.execute("SELECT coalesce(max(id), 0) FROM object").fetchone()
    rows = [
        (number, digest, a.size, a.manifest, PACKED if a.written is None else LOOSE, a.stored, now, now, WAITING)
        for number, (digest, a) in enumerate(arriving.items(), last + 1)
    ]
    packed = [(number, a.body) for number, a in enumerate(arriving.values(), last + 1) if a.body is not None]
    inserted = writer.executemany("INSERT OR IGNORE INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows).rowcount
    if inserted < len(rows):
        ours = dict(writer.execute("SELECT id, digest FROM object WHERE id > ?", (last,)))
        packed = [row for row in packed if row[0] in ours]
        for digest in arriving.keys() - ours.values():
            written = arriving.pop(digest).written
            if written is not None:
                discard(written)
    writer.executemany("INSERT INTO packed VALUES (?, ?)", packed)


def _hash_zeros(whole: blake3, count: int) -> None:
    while count > 0:
        step = min(count, len(ZEROS))
        whole.update(ZEROS if step == len(ZEROS) else memoryview(ZEROS)[:step])
        count -= step
