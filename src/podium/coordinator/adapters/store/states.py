"""The state at any version: the nearest snapshot at or below it, and the deltas from there on."""

import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from podium.coordinator.adapters.store.database import Change, Database
from podium.coordinator.adapters.store.errors import StoreDamagedError
from podium.coordinator.adapters.store.records import StateRow
from podium.wire.patch import PatchError, apply, decode_ops

EMPTY: Final = b"{}"
"""The state before anything was written, version 0."""

PLAIN: Final = "json"
PACKED: Final = "json+zlib"
PACK_FROM_BYTES: Final = 1024
"""Smaller snapshots are not worth packing."""

PACK_LEVEL: Final = 6
"""zlib level: packing happens in a worker thread, at most once per 256 deltas, and stays on disk."""

_READ_AT_ONCE: Final = 1024
_NEAREST: Final = "SELECT version, schema, codec, data FROM snapshot WHERE version <= ? ORDER BY version DESC LIMIT 1"
_DELTAS: Final = "SELECT version, ops FROM delta WHERE version > ? AND version <= ? ORDER BY version LIMIT ?"
_DERIVED: Final = (
    "INSERT INTO main.snapshot (version, schema, kind, codec, size, data) VALUES (?, ?, 'derived', ?, ?, ?) "
    "ON CONFLICT (version) DO NOTHING"
)


def read_state(database: Database, version: int) -> StateRow:
    """The state at `version`, which must be committed.

    Raises:
        StoreConflictError: there is no such version (yet).
        StoreDamagedError: rows are missing or deltas do not apply.
        StoreError: it can't be read.
    """
    base = _nearest(database, version)
    if base.version == version:
        return base
    document = decode_document(base.data)
    reached = base.version
    for number, ops in _deltas(database, base.version, version):
        if number != reached + 1 or ops is None:
            raise StoreDamagedError("state", f"the change to version {reached + 1} is missing")
        document = apply_change(document, number, ops)
        reached = number
    if reached != version:
        raise StoreDamagedError("state", f"the change to version {reached + 1} is missing")
    return StateRow(version, base.schema, msgspec.json.encode(document))


def read_schema(database: Database, version: int) -> int | None:
    """The schema of the state at `version`; None before any state.

    Raises:
        StoreError: it can't be read.
    """
    found = database.row(
        "SELECT schema, version FROM snapshot WHERE version <= ? ORDER BY version DESC LIMIT 1", (version,)
    )
    return None if found is None else found[0]


def decode_document(data: bytes) -> Any:
    """The state as a value.

    Raises:
        StoreDamagedError: it is no JSON.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreDamagedError("state", f"a snapshot is no JSON: {error}") from error


def apply_change(document: Any, version: int, ops: bytes) -> Any:
    """`document` (changed in place) as it is at `version`.

    Raises:
        StoreDamagedError: the operations are no JSON Patch, or do not fit.
    """
    try:
        return apply(document, decode_ops(ops))
    except PatchError as error:
        raise StoreDamagedError("state", f"the change to version {version} does not apply: {error}") from error


def pack(data: bytes) -> tuple[str, bytes]:
    """Codec and bytes a snapshot is stored as: the smaller of both."""
    if len(data) < PACK_FROM_BYTES:
        return PLAIN, data
    packed = zlib.compress(data, PACK_LEVEL)
    return (PACKED, packed) if len(packed) < len(data) else (PLAIN, data)


def unpack(codec: str, data: bytes) -> bytes:
    """The JSON of a stored snapshot.

    Raises:
        StoreDamagedError: the codec is unknown or the bytes are damaged.
    """
    if codec == PLAIN:
        return data
    if codec != PACKED:
        raise StoreDamagedError("state", f"a snapshot has the unknown codec {codec!r}")
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise StoreDamagedError("state", f"a snapshot can't be unpacked: {error}") from error


def snapshot_change(state: StateRow) -> Change:
    """The row that keeps `state` as a derived snapshot."""
    codec, data = pack(state.data)
    return Change(_DERIVED, ((state.version, state.schema, codec, len(state.data), data),))


def _nearest(database: Database, version: int) -> StateRow:
    found = database.row(_NEAREST, (version,))
    if found is None:
        return StateRow(0, None, EMPTY)
    return StateRow(found[0], found[1], unpack(found[2], found[3]))


def _deltas(database: Database, after: int, upto: int) -> Iterator[tuple[int, bytes | None]]:
    """Changes in order, read in pages so that a long history is never in memory at once."""
    while page := database.rows(_DELTAS, (after, upto, _READ_AT_ONCE)):
        yield from page
        after = page[-1][0]
        if len(page) < _READ_AT_ONCE:
            return
