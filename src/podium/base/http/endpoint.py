"""A REST route as a value: what routing, validation, authentication and the OpenAPI document are all made from."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from podium.wire.errors import ErrorCode
from podium.wire.rest import Permission

if TYPE_CHECKING:
    from podium.base.http.call import Call

Handler = Callable[["Call"], Awaitable[Any]]
"""Answers a call: with a value (encoded as JSON with the first status of `answers`), an `Answer`, a `Streamed`, or None."""


class Open(Enum):
    """Routes that need no permission of a key."""

    PUBLIC = "public"
    """Anyone, without a credential."""
    CLUSTER = "cluster"
    """Whoever holds the credential the daemons share."""
    METRICS = "metrics"
    """Whoever holds that credential, or one that reads metrics and nothing else."""
    ANY_KEY = "any_key"
    """Any valid key, whatever its permissions."""


PUBLIC: Final = Open.PUBLIC
CLUSTER: Final = Open.CLUSTER
METRICS: Final = Open.METRICS
ANY_KEY: Final = Open.ANY_KEY

Access = Permission | Open
"""What a route asks of its caller."""


@dataclass(frozen=True)
class Media:
    """A body that is no JSON of ours: its content type, and its schema for the document."""

    content_type: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    description: str = ""


EVENT_STREAM: Final = Media(
    "text/event-stream", description="Server-sent events; `id` is the `seq`, so Last-Event-ID resumes"
)
PLAIN_TEXT: Final = Media("text/plain")
HTML: Final = Media("text/html")


@dataclass(frozen=True)
class Multipart:
    """A `multipart/form-data` body that the handler reads itself, as it streams in (`Call.stream`)."""

    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Binary:
    """A body of any bytes that the handler reads itself, as it streams in (`Call.stream`); its content type doesn't matter."""

    description: str = ""


@dataclass(frozen=True)
class Param:
    """A part of the path: its type, and the error of a value that can't be one.

    `spans`: it takes one part of the path or more, as few as let the rest of the route match; an encoded slash (`%2F`) never
    ends it. Its value has the slashes, and bytes that are no UTF-8 as surrogates (PEP 383). `digits`: only a part of digits is one;
    anything else belongs to whatever else the route could be.
    """

    type: Any = str
    missing: ErrorCode = ErrorCode.NOT_FOUND
    description: str = ""
    spans: bool = False
    digits: bool = False


@dataclass(frozen=True)
class HeaderParam:
    """A request header, for the document; the handler reads it from `Call.headers`."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One route.

    `path` has parameters in braces, described by `params`. `query` is a Struct whose fields are the query parameters.
    `body` is a type msgspec can read, a `Multipart` or a `Binary`. `answers` maps a status to a type, a `Media`, a tuple of such
    alternatives, or None (no body); the first one is the status of a plain returned value. `errors` are the codes the
    route itself may answer with; those every route has (bad input, credentials, 5xx) are added by the document.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    access: Access
    answers: Mapping[int, Any]
    tag: str = ""
    description: str = ""
    params: Mapping[str, Param] = field(default_factory=dict)
    query: type[msgspec.Struct] | None = None
    headers: tuple[HeaderParam, ...] = ()
    body: Any = None
    errors: tuple[ErrorCode, ...] = ()
    audited: bool = False
    """Whether who calls it is written down (`podium.base.audit`)."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Examples: `body`, or a status as text."""

    @property
    def name(self) -> str:
        """The operation's name, that of its handler."""
        return getattr(self.handler, "__name__", "operation").strip("_")

    @property
    def status(self) -> int:
        """Status of a plain returned value."""
        return int(next(iter(self.answers)))

    @property
    def reads_json(self) -> bool:
        """Whether the body is JSON that is read before the handler runs."""
        return self.body is not None and not isinstance(self.body, Multipart | Binary)
