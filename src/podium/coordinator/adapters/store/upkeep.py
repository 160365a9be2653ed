"""What keeps a store small and quick, done in a worker thread over connections of its own, away from the event loop."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from podium.coordinator.adapters.store.database import (
    LOGS,
    MESSAGES,
    STATE,
    Change,
    Database,
    Kind,
    connect,
)
from podium.coordinator.adapters.store.logbook import Logbook
from podium.coordinator.adapters.store.states import (
    PACK_FROM_BYTES,
    PACKED,
    PLAIN,
    pack,
    read_state,
    snapshot_change,
)
from podium.coordinator.adapters.store.thinning import superfluous
from podium.wire.limits import COMMAND_MEMORY_MS

FORGET_COMMANDS_AT_ONCE: Final = 1_000
"""Old commands removed per transaction: short enough for a commit that waits meanwhile."""

LOG_HARD_FACTOR: Final = 4
"""A write-ahead log this many times over its limit is moved with the write lock held (a commit may wait a few
milliseconds): under endless writes a polite checkpoint alone might never reach its end."""

HARD_WAIT_MS: Final = 20
"""How long such a checkpoint waits for readers of other processes: commits of the event loop wait as long."""

Fault = Callable[[str], None]
_OLD_COMMANDS: Final = (
    "SELECT position FROM (SELECT position, ts FROM main.command ORDER BY position LIMIT ?) WHERE ts <= ?"
)


def take_snapshot(database: Database, version: int, fault: Fault) -> None:
    """Keeps the state at `version` (committed) whole, and removes snapshots that are no longer needed.

    Raises:
        StoreError: the state can't be rebuilt or written.
    """
    rows = database.rows(
        "SELECT version, kind FROM snapshot WHERE version <= ? ORDER BY version",
        (version,),
    )
    own = {row[0] for row in database.rows("SELECT version FROM main.snapshot")}
    derived = [row[0] for row in rows if row[1] == "derived" and row[0] in own]
    given = [row[0] for row in rows if row[1] == "given" or row[0] not in own]  # of a sealed file nothing is removed
    change = snapshot_change(read_state(database, version))
    gone = superfluous([*derived, version], given)
    changes = [
        change,
        Change(
            "DELETE FROM main.snapshot WHERE version = ? AND kind = 'derived'",
            [(v,) for v in gone],
        ),
    ]
    fault("snapshot.commit")
    database.write(changes, _quiet)
    fault("snapshot.committed")


def pack_given(database: Database) -> None:
    """Packs whole states that were written plainly, to keep the event loop free, one after the other.

    Raises:
        StoreError: the file can't be read or written.
    """
    rows = database.rows(
        "SELECT version FROM main.snapshot WHERE codec = ? AND kind = 'given' AND size >= ?",
        (PLAIN, PACK_FROM_BYTES),
    )
    for (version,) in rows:
        found = database.row(
            "SELECT data FROM main.snapshot WHERE version = ? AND codec = ?",
            (version, PLAIN),
        )
        if found is None:
            continue
        codec, data = pack(found[0])
        if codec == PACKED:
            update = "UPDATE main.snapshot SET codec = ?, data = ? WHERE version = ? AND codec = ?"
            database.write([Change(update, ((codec, data, version, PLAIN),))], _quiet)


def forget_commands(database: Database, now_ms: int) -> None:
    """Removes commands older than their memory.

    Raises:
        StoreError: the file can't be read or written.
    """
    while old := database.rows(_OLD_COMMANDS, (FORGET_COMMANDS_AT_ONCE, now_ms - COMMAND_MEMORY_MS)):
        database.write([Change("DELETE FROM main.command WHERE position = ?", old)], _quiet)


def cap_log(database: Database, max_bytes: int) -> None:
    """Brings the log under its cap, whatever was written at once.

    Raises:
        StoreError: the file can't be read or written.
    """
    logbook = Logbook(database, max_bytes)
    while changes := logbook.forgetting():
        database.write(changes, _quiet)


def shorten_log(database: Database, max_bytes: int) -> None:
    """Moves a write-ahead log above `max_bytes` into its file and begins it anew.

    Raises:
        StoreError: the file can't be written.
    """
    size = database.log_bytes()
    if size <= max_bytes:
        return
    database.rows(f"PRAGMA journal_size_limit = {max_bytes}")
    if not move_log(database) and size > LOG_HARD_FACTOR * max_bytes:
        database.rows(f"PRAGMA busy_timeout = {HARD_WAIT_MS}")
        if database.checkpoint("RESTART"):
            database.restart_log()


def move_log(database: Database) -> bool:
    """Moves the write-ahead log into its file without making anybody wait, and begins it anew when all of it moved.

    Raises:
        StoreError: the file can't be written.
    """
    done = database.checkpoint("PASSIVE") or database.checkpoint("PASSIVE")
    if done:
        database.restart_log()
    return done


def each(files: dict[Kind, Database]) -> Iterator[tuple[Kind, Database]]:
    """Connections of this thread's own to the same files, state.db first, each closed before the next is opened."""
    for kind in (STATE, MESSAGES, LOGS):
        with closing(connect(kind, files[kind].path)) as database:
            yield kind, database


def _quiet(point: str) -> None:
    """Upkeep's own transactions have no fault points besides that of the snapshot."""
