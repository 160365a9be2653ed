"""The one enumeration of errors, each mapped once to an HTTP status, a WebSocket close code and a CLI exit code.

```
PodiumError          raised inside the daemons and the client, carries code, detail and facts
  └─ translated once at each boundary into
       Problem        REST body, application/problem+json (RFC 9457)
       nack           frame on a WebSocket
       exit code      of the command line
```
"""

from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

PROBLEM_TYPE_BASE: Final = "https://podium.dev/problems/"
"""Prefix of `Problem.type`; the rest is the code with dashes."""


class Mapping(NamedTuple):
    """What an error code means at each boundary."""

    status: int
    """HTTP status."""
    close: int
    """WebSocket close code, used when the error ends the connection."""
    exit: int
    """Exit code of the command line (sysexits where one fits)."""
    title: str
    """Short human summary, the same for every occurrence."""
    retryable: bool = False
    """Whether the same request may succeed later without being changed."""


class ErrorCode(StrEnum):
    """Stable, machine-readable codes of everything that can go wrong."""

    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    INVALID_BUNDLE = "invalid_bundle"
    INVALID_PATH = "invalid_path"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    DEPLOYMENT_NOT_FOUND = "deployment_not_found"
    INSTANCE_NOT_FOUND = "instance_not_found"
    AGENT_NOT_FOUND = "agent_not_found"
    COORDINATOR_NOT_FOUND = "coordinator_not_found"
    KEY_NOT_FOUND = "key_not_found"
    SECRET_NOT_FOUND = "secret_not_found"
    TURN_NOT_FOUND = "turn_not_found"
    REQUEST_NOT_FOUND = "request_not_found"
    VERSION_NOT_FOUND = "version_not_found"
    FILE_NOT_FOUND = "file_not_found"
    ITERATION_NOT_FOUND = "iteration_not_found"
    DEPLOYMENT_EXISTS = "deployment_exists"
    DEPLOYMENT_IN_USE = "deployment_in_use"
    AGENT_IN_USE = "agent_in_use"
    INSTANCE_STOPPING = "instance_stopping"
    INSTANCE_FAILED = "instance_failed"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    ALREADY_RESOLVED = "already_resolved"
    BUSY = "busy"
    NO_TURN = "no_turn"
    RESUME_GONE = "resume_gone"
    BUNDLE_TOO_LARGE = "bundle_too_large"
    MESSAGE_TOO_LARGE = "message_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    AGENT_START_FAILED = "agent_start_failed"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXCEEDED = "quota_exceeded"
    SLOW_CONSUMER = "slow_consumer"
    FILE_CHANGED = "file_changed"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    WORKSPACE_UNAVAILABLE = "workspace_unavailable"
    INTERNAL = "internal"
    UNREACHABLE = "unreachable"
    COORDINATOR_UNREACHABLE = "coordinator_unreachable"
    NO_COORDINATOR_AVAILABLE = "no_coordinator_available"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    DRAINING = "draining"
    AGENT_TIMEOUT = "agent_timeout"


_BAD, _AUTH, _GONE, _STOPPED, _RATE, _LATER, _OOPS = 4400, 4401, 4404, 4409, 4429, 1013, 1011

MAPPINGS: Final[dict[ErrorCode, Mapping]] = {
    ErrorCode.INVALID_JSON: Mapping(400, _BAD, 65, "The body is no valid JSON"),
    ErrorCode.INVALID_REQUEST: Mapping(400, _BAD, 65, "The request breaks its schema"),
    ErrorCode.INVALID_BUNDLE: Mapping(400, _BAD, 65, "The bundle is refused"),
    ErrorCode.INVALID_PATH: Mapping(400, _BAD, 65, "The path is refused"),
    ErrorCode.UNAUTHENTICATED: Mapping(401, _AUTH, 77, "A valid key is needed"),
    ErrorCode.PERMISSION_DENIED: Mapping(403, _AUTH, 77, "The key does not allow this"),
    ErrorCode.NOT_FOUND: Mapping(404, _GONE, 66, "There is nothing here"),
    ErrorCode.METHOD_NOT_ALLOWED: Mapping(405, _BAD, 65, "The route does not take this method"),
    ErrorCode.DEPLOYMENT_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such deployment"),
    ErrorCode.INSTANCE_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such instance"),
    ErrorCode.AGENT_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such agent"),
    ErrorCode.COORDINATOR_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such coordinator"),
    ErrorCode.KEY_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such key"),
    ErrorCode.SECRET_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such secret"),
    ErrorCode.TURN_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such turn"),
    ErrorCode.REQUEST_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such question or permission"),
    ErrorCode.VERSION_NOT_FOUND: Mapping(404, _GONE, 66, "The state has no such version"),
    ErrorCode.FILE_NOT_FOUND: Mapping(404, _GONE, 66, "There is no such file"),
    ErrorCode.ITERATION_NOT_FOUND: Mapping(404, _GONE, 66, "The workspace has no such iteration"),
    ErrorCode.DEPLOYMENT_EXISTS: Mapping(409, _STOPPED, 73, "This version exists with other bytes"),
    ErrorCode.DEPLOYMENT_IN_USE: Mapping(409, _STOPPED, 73, "Instances use this deployment"),
    ErrorCode.AGENT_IN_USE: Mapping(409, _STOPPED, 73, "The agent is alive"),
    ErrorCode.INSTANCE_STOPPING: Mapping(409, _STOPPED, 73, "The instance is stopping or over"),
    ErrorCode.INSTANCE_FAILED: Mapping(409, _STOPPED, 73, "The instance has failed"),
    ErrorCode.IDEMPOTENCY_CONFLICT: Mapping(409, _STOPPED, 73, "The Idempotency-Key belongs to another request"),
    ErrorCode.ALREADY_RESOLVED: Mapping(409, _STOPPED, 73, "It has been answered already"),
    ErrorCode.BUSY: Mapping(409, _STOPPED, 73, "A turn is running"),
    ErrorCode.NO_TURN: Mapping(409, _STOPPED, 73, "No turn is running"),
    ErrorCode.RESUME_GONE: Mapping(410, 4410, 66, "The journal no longer keeps what was asked for"),
    ErrorCode.BUNDLE_TOO_LARGE: Mapping(413, 1009, 65, "The bundle is too large"),
    ErrorCode.MESSAGE_TOO_LARGE: Mapping(413, 1009, 65, "The message is too large"),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: Mapping(415, _BAD, 65, "This media type is not taken here"),
    ErrorCode.CHECKSUM_MISMATCH: Mapping(422, _BAD, 65, "The bytes are not the ones that were named"),
    ErrorCode.AGENT_START_FAILED: Mapping(422, _STOPPED, 70, "The agent could not start"),
    ErrorCode.RATE_LIMITED: Mapping(429, _RATE, 75, "Too many requests", retryable=True),
    ErrorCode.QUOTA_EXCEEDED: Mapping(429, _RATE, 75, "A quota is used up", retryable=True),
    ErrorCode.SLOW_CONSUMER: Mapping(429, 4408, 75, "The connection could not keep up", retryable=True),
    ErrorCode.FILE_CHANGED: Mapping(412, _STOPPED, 73, "The file has another content than expected"),
    ErrorCode.RANGE_NOT_SATISFIABLE: Mapping(416, _BAD, 65, "The file has no such range"),
    ErrorCode.WORKSPACE_UNAVAILABLE: Mapping(
        503, _LATER, 69, "The agent's workspace can't be used now", retryable=True
    ),
    ErrorCode.INTERNAL: Mapping(500, _OOPS, 70, "Something is wrong on our side"),
    ErrorCode.UNREACHABLE: Mapping(503, _LATER, 69, "Podium does not answer", retryable=True),
    ErrorCode.COORDINATOR_UNREACHABLE: Mapping(503, _LATER, 69, "The agent's host does not answer", retryable=True),
    ErrorCode.NO_COORDINATOR_AVAILABLE: Mapping(503, _LATER, 69, "No host has room", retryable=True),
    ErrorCode.REGISTRY_UNAVAILABLE: Mapping(503, _LATER, 69, "The registry does not answer", retryable=True),
    ErrorCode.DRAINING: Mapping(503, 1012, 69, "The host is being drained", retryable=True),
    ErrorCode.AGENT_TIMEOUT: Mapping(504, _LATER, 75, "The agent did not answer in time", retryable=True),
}


class FieldError(msgspec.Struct, frozen=True):
    """One broken field of a request: where (`body.limits.memory`) and what is wrong."""

    loc: str
    msg: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of every REST error, `application/problem+json` (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str = ""
    errors: list[FieldError] | None = None
    logs: list[str] | None = None


class PodiumError(Exception):
    """Something a caller should know, by code; facts travel as attributes, translation happens at the boundary.

    Attributes:
        code: what went wrong; decides status, close code and exit code.
        detail: one sentence for a person: what is wrong and what to do. Holds no secret and no path of the host.
        errors: broken fields, for `invalid_request`.
        logs: last lines of the agent's log, for `agent_start_failed`.
        retry_after: seconds after which trying again makes sense; sent as `Retry-After`.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        logs: list[str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code.value}: {detail}")
        self.code = code
        self.detail = detail
        self.errors = errors
        self.logs = logs
        self.retry_after = retry_after

    @property
    def mapping(self) -> Mapping:
        """What the code means at each boundary."""
        return MAPPINGS[self.code]

    def problem(self, request_id: str = "") -> Problem:
        """The REST body for this error."""
        return Problem(
            type=PROBLEM_TYPE_BASE + self.code.value.replace("_", "-"),
            title=self.mapping.title,
            status=self.mapping.status,
            detail=self.detail,
            code=self.code.value,
            request_id=request_id,
            errors=self.errors,
            logs=self.logs,
        )

    @classmethod
    def from_problem(cls, body: bytes, status: int, retry_after: float | None = None) -> "PodiumError":
        """The error a REST body tells of; a body that is no problem becomes `internal` with the status in its detail."""
        try:
            problem = msgspec.json.decode(body, type=Problem)
            code = ErrorCode(problem.code)
        except (msgspec.DecodeError, ValueError):
            return cls(ErrorCode.INTERNAL, f"unexpected answer with status {status}", retry_after=retry_after)
        return cls(code, problem.detail, errors=problem.errors, logs=problem.logs, retry_after=retry_after)


def as_json(value: Any) -> bytes:
    """`value` as compact JSON; the one encoder of the wire."""
    return _ENCODER.encode(value)


_ENCODER = msgspec.json.Encoder()
