"""Errors on their way through a socket: each class has a code and becomes itself again at the other side."""

from typing import Final

import msgspec

from chronicle.model import errors


class ChangedMeanwhileError(errors.ChronicleError):
    """The precondition of a write does not hold: the path has another content than the caller thought. Read it again, decide again.

    `expected` is the hash the caller gave (empty: nothing should have been there), `actual` what is there (None: nothing).
    """

    def __init__(self, path: bytes, expected: str, actual: str | None) -> None:
        shown = path.decode(errors="replace")
        there = f"has content {actual}" if actual else "is not there"
        wanted = f"content {expected}" if expected else "nothing there"
        super().__init__(f"{shown} {there}; {wanted} was expected")
        self.path = path
        self.expected = expected
        self.actual = actual


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as it travels. `facts` are the arguments the error is made again from, None when its message is its only one."""

    code: str
    message: str
    facts: list[bytes | None] | None = None


_BY_MESSAGE: Final[dict[str, type[errors.ChronicleError]]] = {
    "not_found": errors.NotFoundError,
    "damaged": errors.DamagedError,
    "busy": errors.WorkspaceBusyError,
    "not_supported": errors.NotSupportedError,
    "quota_exceeded": errors.QuotaExceededError,
    "storage": errors.StorageError,
    "invalid_input": errors.InvalidInputError,
}
_CODES: Final = {kind: code for code, kind in _BY_MESSAGE.items()}


def failure_of(error: BaseException) -> Failure:
    """The error as it travels. One that is not Chronicle's own gets the code `internal` and its class in the message."""
    match error:
        case errors.InvalidPathError():
            return Failure("invalid_path", str(error), [_raw(error.path), _raw(error.reason)])
        case errors.FileNotFoundInHistoryError():
            return Failure("file_not_found", str(error), [error.path, _number(error.at)])
        case errors.IterationNotFoundError():
            return Failure("iteration_not_found", str(error), [_number(error.iteration), _number(error.head)])
        case errors.CheckpointNotFoundError():
            return Failure("checkpoint_not_found", str(error), [_raw(error.label)])
        case errors.WorkspaceNotFoundError():
            return Failure("workspace_not_found", str(error), [_raw(error.place)])
        case errors.VersionDroppedError():
            return Failure("version_dropped", str(error), [error.path, _number(error.iteration)])
        case ChangedMeanwhileError():
            actual = None if error.actual is None else _raw(error.actual)
            return Failure("changed_meanwhile", str(error), [error.path, _raw(error.expected), actual])
        case errors.ChronicleError():
            return Failure(_CODES.get(type(error), "failed"), str(error))
        case TimeoutError():
            return Failure("timeout", str(error))
        case OSError():
            return Failure("storage", str(error))
        case _:
            return Failure("internal", f"{type(error).__name__}: {error}")


def error_of(failure: Failure) -> Exception:
    """The error a failure is about, ready to be raised."""
    facts = failure.facts or []
    match failure.code, facts:
        case "invalid_path", [bytes(path), bytes(reason)]:
            return errors.InvalidPathError(path, _text(reason))
        case "file_not_found", [bytes(path), at]:
            return errors.FileNotFoundInHistoryError(path, None if at is None else int(at))
        case "iteration_not_found", [bytes(iteration), bytes(head)]:
            return errors.IterationNotFoundError(int(iteration), int(head))
        case "checkpoint_not_found", [bytes(label)]:
            return errors.CheckpointNotFoundError(_text(label))
        case "workspace_not_found", [bytes(place)]:
            return errors.WorkspaceNotFoundError(_text(place))
        case "version_dropped", [bytes(path), bytes(iteration)]:
            return errors.VersionDroppedError(path, int(iteration))
        case "changed_meanwhile", [bytes(path), bytes(expected), actual]:
            return ChangedMeanwhileError(path, _text(expected), None if actual is None else _text(actual))
        case "timeout", _:
            return TimeoutError(failure.message)
        case code, _:
            return _BY_MESSAGE.get(code, errors.ChronicleError)(failure.message)


def _raw(value: str | bytes) -> bytes:
    return value.encode(errors="surrogateescape") if isinstance(value, str) else value


def _text(value: bytes) -> str:
    return value.decode(errors="surrogateescape")


def _number(value: int | None) -> bytes | None:
    return None if value is None else b"%d" % value
