"""Changing what `workspace.json` says."""

from typing import Final

import msgspec

from chronicle.layout import Layout, Settings
from chronicle.model.errors import InvalidInputError, WorkspaceBusyError
from chronicle.model.excludes import Excludes
from chronicle.workspace.marks import Lock, mark_in_use, read_mount

_CHANGEABLE: Final = frozenset({"exclude", "durability", "quota_bytes", "retention"})


def configure(layout: Layout, changes: dict[str, object]) -> Settings:
    """Writes the settings anew, under the lock. Raises WorkspaceBusyError, InvalidInputError."""
    unknown = changes.keys() - _CHANGEABLE
    if unknown:
        raise InvalidInputError(f"{', '.join(sorted(unknown))} can't be changed; {', '.join(sorted(_CHANGEABLE))} can")
    lock = Lock.take(layout)
    try:
        if read_mount(layout) is not None:
            raise WorkspaceBusyError(f"{layout.root} is mounted; unmount it, then change its settings")
        before = layout.read_settings()
        try:
            after = msgspec.convert({**msgspec.to_builtins(before), **_plain(changes)}, Settings)
        except msgspec.ValidationError as error:
            raise InvalidInputError(str(error)) from error
        Excludes(after.exclude)  # refuses malformed patterns before they are kept
        if after.exclude != before.exclude:
            mark_in_use(layout)  # what was excluded and is not any more is recorded by the next comparison
        layout.write_settings(after)
    finally:
        lock.release()
    return after


def _plain(changes: dict[str, object]) -> dict[str, object]:
    plain = msgspec.to_builtins(changes)
    assert isinstance(plain, dict)
    return plain
