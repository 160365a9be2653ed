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

LOOK_MS: Final = 1_000
"""The files are looked at this often though nothing was told of them: what was saved before the watching began is found by that."""

State = dict[str, tuple[int, int]]
"""Files of a bundle by name, each with what changes when it is written: modification time in nanoseconds, size."""


def state_of(directory: Path, before: State | None = None) -> State:
    """The files as they are. While the manifest can't be read (it is being written) the others count as they were `before`."""
    try:
        names = [path.as_posix() for path in Project(directory).files()]
    except (ManifestError, OSError):
        return {**(before or {}), **_states(directory, [MANIFEST_NAME])}
    return _states(directory, names)


def differences(before: State, now: State) -> list[str]:
    """Names of files that are new, gone or written."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


async def changes(directory: Path, known: State) -> AsyncIterator[list[str]]:
    """Names of files of the bundle that changed since they were as `known`, each time some did."""
    from watchfiles import awatch

    async for _ in awatch(
        directory,
        step=QUIET_MS,
        debounce=DEBOUNCE_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        watch_filter=None,
        raise_interrupt=False,
    ):
        now = state_of(directory, known)
        changed = differences(known, now)
        known = now
        if changed:
            yield changed


def _states(directory: Path, names: list[str]) -> State:
    found = {}
    for name in names:
        try:
            status = (directory / name).stat()
        except OSError:  # gone since it was listed
            continue
        found[name] = (status.st_mtime_ns, status.st_size)
    return found
