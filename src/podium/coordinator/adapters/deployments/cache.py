"""Keeps the deployments of this host within their room: the least recently used go first, those in use never."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from podium.coordinator.adapters.deployments.layout import READY_NAME, Layout

_log = logging.getLogger(__name__)


class _Kept(NamedTuple):
    """A whole deployment: where it lies, its bytes on disk, when it was last used (epoch nanoseconds)."""

    directory: Path
    disk_bytes: int
    used_at: int


class DeploymentCache:
    """Bounds what lies below a `Layout` to `most_bytes`, as far as may be removed.

    What was used within `recent_seconds` of the newest use stays: something may just be starting from it.
    """

    def __init__(self, layout: Layout, most_bytes: int, recent_seconds: float) -> None:
        self._layout = layout
        self._most = most_bytes
        self._recent = int(recent_seconds * 1e9)
        self._one_at_a_time = asyncio.Lock()

    async def make_room(self, in_use: Callable[[], Collection[Path]], forget: Callable[[Path], None]) -> None:
        """Removes until the rest fits. `in_use` is asked before each removal; `forget` is told of what is gone."""
        async with self._one_at_a_time:
            kept = await asyncio.to_thread(self._by_use)
            total = sum(entry.disk_bytes for entry in kept)
            for entry in kept:
                if total <= self._most or entry.used_at > kept[-1].used_at - self._recent:
                    return
                # From here to `forget` nobody can begin to use it: there is no await between.
                if entry.directory in in_use() or used_at(entry.directory) != entry.used_at:
                    continue
                gone = self._layout.take_away(entry.directory)
                forget(entry.directory)
                total -= entry.disk_bytes
                _log.info("deployment_evicted", extra={"directory": entry.directory.name, "bytes": entry.disk_bytes})
                if gone is not None:
                    await asyncio.to_thread(shutil.rmtree, gone, True)

    def _by_use(self) -> list[_Kept]:
        """All that are whole, the least recently used first. Blocking."""
        found = [(directory, ready, used_at(directory)) for directory, ready in self._layout.all()]
        kept = [_Kept(directory, ready.disk_bytes, used) for directory, ready, used in found if used is not None]
        return sorted(kept, key=lambda entry: entry.used_at)


def used_at(directory: Path) -> int | None:
    """When a deployment was last used, epoch nanoseconds; None when it is gone."""
    try:
        return (directory / READY_NAME).stat().st_mtime_ns
    except FileNotFoundError:
        return None
