"""Which changes of files matter."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from podium.cli.project import Project
from podium.wire.manifest import MANIFEST_NAME, ManifestError

QUIET_MS: Final = 30
"""Changes that come this soon after one another count as one (editors write in several steps)."""

DEBOUNCE_MS: Final = 400
"""However long changes go on, they are told of after this."""


async def changes(directory: Path) -> AsyncIterator[list[str]]:
    """Names of files of the bundle that changed, each time some did."""
    from watchfiles import awatch

    known = _files(directory)
    async for found in awatch(directory, step=QUIET_MS, debounce=DEBOUNCE_MS, watch_filter=None, raise_interrupt=False):
        now = _files(directory)
        changed = {Path(path).relative_to(directory.resolve()).as_posix() for _, path in found}
        relevant = sorted(changed & (known | now))
        known = now
        if relevant:
            yield relevant


def _files(directory: Path) -> set[str]:
    try:
        return {path.as_posix() for path in Project(directory).files()}
    except (ManifestError, OSError):
        # A manifest that is being written: whatever changes next is worth another look.
        return {MANIFEST_NAME}
