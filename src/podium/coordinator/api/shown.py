"""What the history knows, as the wire shows it: text for names, milliseconds, hex."""

import base64
from typing import Literal

from chronicle.model.iterations import Checkpoint, Difference, Entry, Iteration, Version
from podium.wire.files import FileDifference, FileEntry, FileIteration, FileVersion, WorkspaceCheckpoint

_PERMISSIONS = 0o7777


def text(name: bytes) -> str:
    """A name as people see it; what is no UTF-8 becomes U+FFFD."""
    return name.decode("utf-8", "replace")


def raw_of(path: bytes) -> str | None:
    """The path's bytes in base64, when its text does not say them all."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(path).decode()
    return None


def entry_of(entry: Entry) -> FileEntry:
    """An entry of a listing."""
    version = entry.version
    return FileEntry(
        name=text(entry.name),
        path=text(entry.path),
        type=version.type,
        size=version.size,
        mode=version.mode & _PERMISSIONS,
        mtime=max(0, version.mtime_ns // 1_000_000),
        iteration=version.iteration,
        target=text(version.target) if version.target is not None else None,
        raw=raw_of(entry.path),
    )


def iteration_of(iteration: Iteration) -> FileIteration:
    """A recorded change."""
    return FileIteration(
        iteration=iteration.iteration,
        path=text(iteration.path),
        kind=iteration.kind,
        timestamp=iteration.timestamp,
        size=iteration.size,
        hash=iteration.hash,
        mode=iteration.mode & _PERMISSIONS if iteration.mode is not None else None,
        from_=text(iteration.from_) if iteration.from_ is not None else None,
        turn_id=iteration.turn_id,
        raw=raw_of(iteration.path),
    )


def difference_of(difference: Difference) -> FileDifference:
    """A path that differs."""
    kind: Literal["created", "modified", "deleted"] = "modified"
    if difference.before is None:
        kind = "created"
    elif difference.after is None:
        kind = "deleted"
    return FileDifference(
        path=text(difference.path),
        kind=kind,
        before=_version_of(difference.before),
        after=_version_of(difference.after),
        raw=raw_of(difference.path),
    )


def checkpoint_of(checkpoint: Checkpoint) -> WorkspaceCheckpoint:
    """A named moment."""
    return WorkspaceCheckpoint(checkpoint.iteration, checkpoint.timestamp, checkpoint.label, checkpoint.turn_id)


def _version_of(version: Version | None) -> FileVersion | None:
    if version is None:
        return None
    return FileVersion(
        type=version.type,
        iteration=version.iteration,
        size=version.size,
        mode=version.mode & _PERMISSIONS,
        hash=version.digest.hex() if version.digest is not None else None,
        target=text(version.target) if version.target is not None else None,
    )
