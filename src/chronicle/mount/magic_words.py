"""What the files in `.chronicle/` say, and what can be said to them: JSON for programs, one errno and a sentence for shells."""

import errno
import json
import os
from typing import Final, NamedTuple

from chronicle.model.errors import (
    ChronicleError,
    InvalidInputError,
    InvalidPathError,
    NotFoundError,
    NotSupportedError,
    QuotaExceededError,
    VersionDroppedError,
    WorkspaceBusyError,
)
from chronicle.model.iterations import Iteration
from chronicle.model.paths import workspace_path

README: Final = b"""This directory is not part of the workspace: it tells about its past. Nothing in it is recorded.

head            the number of the newest iteration
log             the newest 1,000 changes, newest first, one JSON object on each line
query/PATH      the iterations of a file, newest first, as JSON; also of files that are gone
at/N/...        the whole tree as it was at iteration N, read-only:  diff -r . .chronicle/at/42
barrier         reading it returns the head once all that happened before is recorded
restore         write {"iteration": N} or {"path": "PATH", "iteration": N} to make the tree, or
                what is at PATH, as it was:  echo '{"iteration": 42}' > .chronicle/restore
                Only what differs is written, and it is recorded, so that it can be undone.
                Reading it tells how the last one went.
"""


class Wish(NamedTuple):
    """A restore that was asked for."""

    iteration: int
    path: bytes


def iteration_line(iteration: Iteration) -> bytes:
    """An iteration as one JSON object, without the newline."""
    return encoded(iteration_fields(iteration))


def iteration_fields(iteration: Iteration) -> dict[str, object]:
    """An iteration's fields as the specification names them. Bytes that are not UTF-8 are lone surrogates (`\\udcXX`)."""
    return {
        "iteration": iteration.iteration,
        "path": os.fsdecode(iteration.path),
        "kind": iteration.kind,
        "timestamp": iteration.timestamp,
        "size": iteration.size,
        "hash": iteration.hash,
        "mode": iteration.mode,
        "from": None if iteration.from_ is None else os.fsdecode(iteration.from_),
        "turn_id": iteration.turn_id,
    }


def encoded(value: object) -> bytes:
    """JSON in UTF-8; escaped where names are not UTF-8."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def wish(data: bytes) -> Wish:
    """What was written to `restore`.

    Raises:
        InvalidInputError: it is not what `restore` understands.
        InvalidPathError: the path can't be in the workspace.
    """
    try:
        said = json.loads(data)
    except ValueError:
        raise InvalidInputError('restore takes JSON: {"iteration": N} or {"path": "PATH", "iteration": N}') from None
    if not isinstance(said, dict) or not said.keys() <= {"iteration", "path"}:
        raise InvalidInputError(
            "restore takes an object with `iteration`, and `path` when it is not for the whole tree"
        )
    iteration, path = said.get("iteration"), said.get("path", "")
    if not isinstance(iteration, int) or isinstance(iteration, bool) or iteration < 0:
        raise InvalidInputError("`iteration` has to be a number of the log, or 0 for the empty tree")
    if not isinstance(path, str):
        raise InvalidInputError("`path` has to be a string")
    try:
        return Wish(iteration, workspace_path(os.fsencode(path)))
    except UnicodeEncodeError:
        raise InvalidPathError(path, "it is no text") from None


def as_os_error(error: BaseException) -> OSError:
    """The error as a system call has it."""
    match error:
        case OSError(errno=int()):
            return error
        case TimeoutError():
            number = errno.ETIMEDOUT
        case VersionDroppedError():
            number = errno.ENODATA
        case InvalidInputError() | InvalidPathError():
            number = errno.EINVAL
        case NotFoundError():
            number = errno.ENOENT
        case QuotaExceededError():
            number = errno.ENOSPC
        case WorkspaceBusyError():
            number = errno.EBUSY
        case NotSupportedError():
            number = errno.EOPNOTSUPP
        case ChronicleError() | _:
            number = errno.EIO
    return OSError(number, str(error))
