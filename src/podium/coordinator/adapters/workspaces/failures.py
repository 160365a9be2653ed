"""What an error of a workspace means to whoever asked; translated here and nowhere else."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from chronicle.control.client import NobodyThereError
from chronicle.control.failures import ChangedMeanwhileError
from chronicle.model import errors
from chronicle.model.errors import ChronicleError
from podium.wire.errors import ErrorCode, PodiumError

RETRY_SECONDS: Final = 1.0
"""`Retry-After` while nobody serves a workspace: a process that died is replaced within a second."""

FAULT_STATUS: Final = 500
"""From here on HTTP's statuses say that it is the server's fault."""

_log = logging.getLogger(__name__)


def workspace_problem(error: BaseException) -> PodiumError | None:
    """The error as callers know it; None when it is not one of a workspace. Holds no path of the host."""
    if isinstance(error, errors.NotFoundError):
        return _not_found(error)
    match error:
        case PodiumError():
            return error
        case errors.InvalidPathError():
            return PodiumError(ErrorCode.INVALID_PATH, f"the path can't name anything in the workspace: {error.reason}")
        case errors.VersionDroppedError():
            return PodiumError(ErrorCode.ITERATION_NOT_FOUND, printable(str(error)))
        case errors.QuotaExceededError():
            return PodiumError(ErrorCode.QUOTA_EXCEEDED, "the workspace is as large as `limits.disk` allows")
        case errors.InvalidInputError() | errors.NotSupportedError():
            return PodiumError(ErrorCode.INVALID_REQUEST, printable(str(error)))
        case ChangedMeanwhileError():
            return PodiumError(ErrorCode.FILE_CHANGED, printable(str(error)))
        case errors.DamagedError():
            return PodiumError(ErrorCode.INTERNAL, "what is stored is not what was written; `chronicle fsck` says more")
        case NobodyThereError() | errors.WorkspaceBusyError() | errors.StorageError():
            return unavailable("the workspace can't be read or written now")
        case errors.ChronicleError():
            return PodiumError(ErrorCode.INTERNAL, "something is wrong with the workspace; the host's log says more")
        case _:
            return None


def _not_found(error: errors.NotFoundError) -> PodiumError:
    match error:
        case errors.IterationNotFoundError() | errors.CheckpointNotFoundError():
            # Without the hint for Chronicle's own command line.
            return PodiumError(ErrorCode.ITERATION_NOT_FOUND, printable(str(error).partition("; `chronicle")[0]))
        case errors.WorkspaceNotFoundError():
            return PodiumError(ErrorCode.FILE_NOT_FOUND, "the agent has no workspace yet")
        case errors.FileNotFoundInHistoryError():
            return PodiumError(ErrorCode.FILE_NOT_FOUND, printable(str(error)))
        case _:
            return PodiumError(ErrorCode.INTERNAL, "a content of the workspace is missing; `chronicle fsck` says more")


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """Errors of Chronicle, and of the host, as callers of the port know them. What is our fault is logged, with all its paths."""
    try:
        yield
    except (ChronicleError, OSError) as error:
        problem = workspace_problem(error) or unavailable("the host refuses to keep the workspace now")
        if problem.mapping.status >= FAULT_STATUS:
            _log.warning("workspace_refused", extra={"code": problem.code.value, "error": str(error)})
        raise problem from error


def unavailable(detail: str) -> PodiumError:
    """`workspace_unavailable`: the same request may succeed a moment later."""
    return PodiumError(ErrorCode.WORKSPACE_UNAVAILABLE, detail, retry_after=RETRY_SECONDS)


def printable(text: str) -> str:
    """Names may hold any bytes; what is shown is text."""
    return text.encode(errors="replace").decode()
