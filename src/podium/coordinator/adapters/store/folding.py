"""Chains of sealed files kept short: the newest ones become one.

Folded are as many of the newest as together are not much smaller than the one before them. A row is therefore copied
once for each doubling of what came after it, and a chain holds files of ever doubling size.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from podium.coordinator.adapters.store.database import FILE_MODE, Kind, blank
from podium.coordinator.adapters.store.errors import store_error
from podium.coordinator.adapters.store.segments import CHAIN_MAX, Segment, rows_of, tables

_AS_LARGE: Final = 2
"""A file is folded too when it is at most this many times as large as what is folded already."""


def first_to_fold(sizes: Sequence[int]) -> int:
    """Index of the oldest file to fold, by the sizes of all, oldest first: always two at least."""
    first = len(sizes) - 2
    folded = sum(sizes[first:])
    while first > 0 and sizes[first - 1] <= _AS_LARGE * folded:
        first -= 1
        folded += sizes[first]
    return first


def folded(kind: Kind, directory: Path, chain: Sequence[Segment]) -> list[Segment]:
    """The chain, with its newest files made one when it is too long. Costs time in the size of what is folded: call it
    from a worker thread. The files it stands for stay, other agents and the present head name them.

    Raises:
        StoreError: a file can't be read or written.
    """
    if len(chain) < CHAIN_MAX:
        return list(chain)
    try:
        first = first_to_fold([(directory / segment.file).stat().st_size for segment in chain])
        suffix = chain[first:]
        name = f"segment-{_number(chain[-1]) + 1}.db"
        _write(
            kind, directory / name, [(f"s{n}", directory / segment.file, segment) for n, segment in enumerate(suffix)]
        )
    except (OSError, sqlite3.Error) as error:
        raise store_error(kind.name, error) from error
    return [*chain[:first], Segment(name, suffix[-1].cut, own=any(segment.own for segment in suffix))]


def _number(segment: Segment) -> int:
    return int(segment.file.removeprefix("segment-").removesuffix(".db"))


def _write(kind: Kind, path: Path, sources: Sequence[tuple[str, Path, Segment]]) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with open(descriptor, "wb") as file:
        file.write(blank(kind))
    connection = sqlite3.connect(draft.absolute().as_uri(), uri=True, isolation_level=None)
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # a draft: a crash leaves a file nobody names
            connection.execute(f"PRAGMA {pragma}")
        for name, source, _ in sources:
            connection.execute(f"ATTACH DATABASE ? AS {name}", (f"{source.absolute().as_uri()}?immutable=1",))
        connection.execute("BEGIN")
        for table in tables(kind.name):
            for name, _, segment in sources:
                connection.execute(f"INSERT OR IGNORE INTO main.{table} {rows_of(kind.name, table, name, segment)}")
        connection.execute("COMMIT")
    finally:
        connection.close()
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.rename(path)
