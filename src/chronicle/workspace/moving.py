"""A workspace that comes from another host: its history was restored from a replica, its contents come from the remote tier.

Contents and history are brought outside by different ways, so the newest iterations of a history may name contents that never
arrived. Such a history is cut before the first of them: every version that is listed can be read.
"""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from chronicle.layout import Layout, Settings
from chronicle.model.errors import DamagedError, InvalidInputError
from chronicle.store.history import History
from chronicle.store.pool import Pool
from chronicle.workspace import forking
from chronicle.workspace.tiers import open_pool_at

_log = logging.getLogger(__name__)

DOUBTED_MS: Final = 300_000
"""Contents of the last five minutes of a history are looked for, and of the five minutes before one that is missing: older ones have
long been brought to the remote tier, which gets them in the order in which they came."""

LOOKED_FOR_AT_ONCE: Final = 32
"""Contents that are looked for at the same time. A question takes some milliseconds in a near bucket, some ten in a distant one, and a
workspace that was just unpacked has thousands of new contents."""

_PAGE: Final = 256
_SEGMENT: Final = re.compile(r"segment-(\d+)\.db")


def settle_down(past: Path, settings: bytes, root: Path, pool: Path, owner: tuple[int, int] | None) -> int:
    """Makes the workspace `root`, hollow, from the files of a history in `past/history`; the iteration it goes on from.

    `settings` is the `workspace.json` it had; `pool` the directory for its contents here; `owner` as of `forking.fork`. `past` must be on
    the same file system, and can be removed afterwards.

    Raises:
        DamagedError: there is no history, or the settings can't be read.
        InvalidInputError: something is at `root` already, or the settings are a newer Chronicle's.
        StorageError: the disk refuses; nothing is left of `root`.
    """
    source = Layout(past)
    known = _settings(settings, pool)
    source.tree.mkdir(mode=0o700, exist_ok=True)
    _point_at_newest(source.history)
    pool.mkdir(mode=0o700, parents=True, exist_ok=True)
    source.write_settings(known)
    at = _whole_until(source, pool)
    forking.fork(source, known, root, None, lambda into: _fork_history(source, into, at), owner)
    return at


def _fork_history(source: Layout, into: Path, at: int) -> int:
    """By the history alone: to a recorder, a tree without files would be one whose files were removed."""
    history = History.open(source.history, writable=True)
    try:
        history.fork(into, at)
    finally:
        history.close()
    return at


def _settings(given: bytes, pool: Path) -> Settings:
    try:
        settings = msgspec.json.decode(given, type=Settings)
    except msgspec.DecodeError as error:
        raise DamagedError(f"the settings of the workspace can't be read: {error}") from error
    if settings.format > Settings(workspace_id="").format:
        raise InvalidInputError("the workspace is of a newer Chronicle; upgrade this one")
    return msgspec.structs.replace(settings, pool=str(pool))


def _point_at_newest(history: Path) -> None:
    """`head.db` names the segment that was written; it is the one with the highest number."""
    numbers = [int(match[1]) for file in history.glob("segment-*.db") if (match := _SEGMENT.fullmatch(file.name))]
    if not numbers:
        raise DamagedError(f"{history} has no history")
    head = history / "head.db"
    head.unlink(missing_ok=True)
    head.symlink_to(f"segment-{max(numbers)}.db")


def _whole_until(source: Layout, pool_directory: Path) -> int:
    history, pool = History.open(source.history), open_pool_at(pool_directory)
    try:
        head = history.head
        first_missing = _first_missing(history, pool)
    finally:
        pool.close()
        history.close()
    if first_missing is None:
        return head
    _log.warning("contents_missing", extra={"head": head, "goes_on_from": first_missing - 1})
    return first_missing - 1


def _first_missing(history: History, pool: Pool) -> int | None:
    """The oldest doubted iteration whose content is nowhere."""
    found: int | None = None
    before: int | None = None
    doubted_since = -1
    there: dict[str, bool] = {}
    with ThreadPoolExecutor(LOOKED_FOR_AT_ONCE, thread_name_prefix="chronicle-moving") as executor:
        while page := history.log(before=before, limit=_PAGE, newest_first=True):
            if doubted_since < 0:
                doubted_since = page[0].timestamp - DOUBTED_MS
            if page[0].timestamp < doubted_since:
                break
            unknown = list({each.hash for each in page if each.hash is not None} - there.keys())
            there.update(
                zip(unknown, executor.map(lambda hash_: pool.contains(bytes.fromhex(hash_)), unknown), strict=True)
            )
            for each in page:
                if each.hash is not None and not there[each.hash]:
                    found = each.iteration
                    doubted_since = min(doubted_since, each.timestamp - DOUBTED_MS)
            before = page[-1].iteration
    return found
