"""From what the workspace recorded to the `file.changed` events of a turn: what is told, and what only counted."""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from chronicle.model.iterations import Iteration
from podium.wire.events import FileChanged

TOLD_MAX: Final = 1_000
"""Changes told one by one in a turn, or between two turns; the rest are one event that counts them. The history of the
workspace has them all."""

_KINDS: Final[dict[str, Literal["created", "modified", "deleted", "renamed"]]] = {
    "create": "created",
    "mkdir": "created",
    "symlink": "created",
    "link": "created",
    "special": "created",
    "modify": "modified",
    "chmod": "modified",
    "xattr": "modified",
    "delete": "deleted",
    "rename": "renamed",
    "exchange": "renamed",
}


def told(change: Iteration) -> FileChanged:
    """What is told of an iteration. Bytes of a path that are no UTF-8 are escaped (`\\xff`)."""
    kind = _KINDS.get(change.kind, "modified")
    return FileChanged(
        path=_text(change.path),
        kind=kind,
        iteration=change.iteration,
        size=change.size,
        from_=_text(change.from_) if kind == "renamed" and change.from_ is not None else None,
    )


def merged(changes: Iterable[Iteration]) -> list[FileChanged]:
    """Changes in order; several of one path right after each other are told once, as what they come to."""
    result: list[FileChanged] = []
    for change in changes:
        event = told(change)
        last = result[-1] if result else None
        if last is not None and last.path == event.path and event.kind == "modified" and last.kind != "deleted":
            result[-1] = msgspec.structs.replace(event, kind=last.kind, from_=last.from_)
        else:
            result.append(event)
    return result


class Telling:
    """Counts what is told in one turn, or between two, and holds back what is too much."""

    def __init__(self, most: int = TOLD_MAX) -> None:
        self._most = most
        self._told = 0
        self._omitted = 0
        self._last = 0

    def take(self, changes: Iterable[Iteration]) -> list[FileChanged]:
        """What of these changes is told now."""
        events = merged(changes)
        room = max(0, self._most - self._told)
        self._told += len(events)
        if len(events) > room:
            self._omitted += len(events) - room
            self._last = events[-1].iteration
        return events[:room]

    def end(self) -> list[FileChanged]:
        """The turn is over, or begins: one event for all that was held back, if anything was."""
        omitted, last = self._omitted, self._last
        self._told = self._omitted = 0
        return [FileChanged(path="", kind="modified", iteration=last, omitted=omitted)] if omitted else []


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
