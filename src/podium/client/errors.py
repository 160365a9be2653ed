"""The one error of the client.

```
PodiumConnectionError     a request or a stream failed; says what to do by `code` and `retryable`
```
"""

from podium.wire.close import CloseCode
from podium.wire.errors import ErrorCode, FieldError, PodiumError


class PodiumConnectionError(Exception):
    """A call to Podium failed.

    Attributes:
        operation: what was tried, by the method's name (`create_instance`).
        instance_id: the instance it was about, if any.
        status: HTTP status of the answer; None when there was none.
        code: stable code of `podium.wire.errors.ErrorCode`; `unreachable` when no answer came.
        detail: one sentence for a person.
        retryable: whether the same call may succeed later unchanged.
        cause: the exception behind it, if any.
        errors: broken fields of the request, for `invalid_request`.
        logs: last log lines of the agent, for `agent_start_failed`.
        retry_after: seconds after which trying again makes sense, when the server said so.
    """

    def __init__(
        self,
        operation: str,
        problem: PodiumError,
        *,
        instance_id: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(f"{operation}: {problem.detail} ({problem.code.value})")
        self.operation = operation
        self.instance_id = instance_id
        self.status = status
        self.code = problem.code
        self.detail = problem.detail
        self.retryable = problem.mapping.retryable if retryable is None else retryable
        self.cause = cause
        self.errors: list[FieldError] = problem.errors or []
        self.logs: list[str] = problem.logs or []
        self.retry_after = problem.retry_after


def unreachable(operation: str, detail: str, cause: BaseException | None = None) -> PodiumConnectionError:
    """The error of a call that got no answer."""
    return PodiumConnectionError(operation, PodiumError(ErrorCode.UNREACHABLE, detail), cause=cause)


_OF_STATUS = {
    400: ErrorCode.INVALID_REQUEST,
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.PERMISSION_DENIED,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    409: ErrorCode.INSTANCE_STOPPING,
    410: ErrorCode.RESUME_GONE,
    413: ErrorCode.MESSAGE_TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    429: ErrorCode.RATE_LIMITED,
    502: ErrorCode.UNREACHABLE,
    503: ErrorCode.UNREACHABLE,
    504: ErrorCode.UNREACHABLE,
}


def problem_of(body: bytes, status: int, retry_after: float | None = None) -> PodiumError:
    """The problem an answer tells of; one without a readable body is judged by its status (a proxy may have made it)."""
    problem = PodiumError.from_problem(body, status, retry_after)
    if problem.code is not ErrorCode.INTERNAL or status not in _OF_STATUS:
        return problem
    return PodiumError(_OF_STATUS[status], f"answered with status {status}", retry_after=retry_after)


_OF_CLOSE: dict[int, tuple[ErrorCode, str]] = {
    CloseCode.TOO_LARGE: (ErrorCode.MESSAGE_TOO_LARGE, "a frame was larger than the server takes"),
    CloseCode.BAD_FRAMES: (ErrorCode.INVALID_REQUEST, "the server refused three frames"),
    CloseCode.UNAUTHENTICATED: (ErrorCode.UNAUTHENTICATED, "the key is not valid, or was revoked"),
    CloseCode.NOT_FOUND: (ErrorCode.INSTANCE_NOT_FOUND, "there is no such instance"),
    CloseCode.STOPPED: (ErrorCode.INSTANCE_STOPPING, "the instance was stopped"),
    CloseCode.RESUME_GONE: (ErrorCode.RESUME_GONE, "what was asked for is older than the journal keeps"),
    CloseCode.RATE_LIMITED: (ErrorCode.RATE_LIMITED, "too many messages"),
}


def problem_of_close(code: int | None, reason: str = "") -> PodiumError:
    """The problem behind the close code of a stream."""
    found, detail = _OF_CLOSE.get(code or 0, (ErrorCode.UNREACHABLE, f"the connection was lost (close code {code})"))
    return PodiumError(found, f"{detail}: {reason}" if reason else detail)
