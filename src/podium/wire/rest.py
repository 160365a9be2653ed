"""Bodies of the REST API, gateway and coordinator. Times are epoch milliseconds, sizes bytes."""

from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from podium.wire.budgets import Allowance
from podium.wire.commands import OnBusy
from podium.wire.limits import PAGE_MAX
from podium.wire.manifest import LimitsTable
from podium.wire.status import InstanceStatus

AgentId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Given by the caller, or made by us")]
AgentType = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
TenantId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
PageLimit = Annotated[int, Meta(ge=1, le=PAGE_MAX)]
Millis = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Epoch milliseconds")]

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list; `next_cursor` is null at the end."""

    items: list[T]
    next_cursor: str | None = None


class Permission(StrEnum):
    """What a key may do."""

    DEPLOYMENTS_WRITE = "deployments:write"
    INSTANCES_WRITE = "instances:write"
    INSTANCES_READ = "instances:read"
    FILES_READ = "files:read"
    FILES_WRITE = "files:write"
    SECRETS_WRITE = "secrets:write"
    CONFIG_WRITE = "config:write"
    ADMIN = "admin"


TENANT_DEFAULT = [p for p in Permission if p not in (Permission.CONFIG_WRITE, Permission.ADMIN)]
"""What a tenant key may do unless told otherwise: all but the last two."""


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


Positive = Annotated[int, Meta(ge=1, le=2**31)]


class TenantLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits of a tenant as one of its keys has them; what is absent is as the gateway is configured. `messages_per_minute` counts those
    sent by REST; `connections` WebSockets on one gateway; `budget` is set for the tenant when the key is made."""

    instances: Positive | None = None
    deployments: Positive | None = None
    messages_per_minute: Positive | None = None
    connections: Positive | None = None
    budget: Allowance = Allowance()


class KeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/keys`. A key with the permission `admin` sees all tenants."""

    tenant_id: TenantId
    name: Annotated[str, Meta(max_length=200)] | None = None
    permissions: list[Permission] | None = None
    expires_at: Millis | None = None
    limits: TenantLimits = TenantLimits()


class KeyInfo(msgspec.Struct, frozen=True):
    """A key without its secret."""

    key_id: str
    tenant_id: str
    permissions: list[Permission]
    created_at: int
    expires_at: int | None = None
    name: str | None = None
    limits: TenantLimits = TenantLimits()


class KeyCreated(KeyInfo, frozen=True, kw_only=True):
    """A new key; `key` is shown this once."""

    key: str


# ── deployments ──────────────────────────────────────────────────────────────────────────────────────────────


class Deployment(msgspec.Struct, frozen=True):
    """A deployment as the registry describes it. `checksum` is `sha256:` + 64 hex characters of the bundle."""

    deployment_id: str
    agent_type: str
    version: str
    checksum: str
    size: int
    runtime: str
    created_at: int


class DeployRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Coordinator `POST /deploy/agent`: prepare this deployment. `source` is where the bundle lies in the object store."""

    source: str
    checksum: str
    agent_type: AgentType
    version: str


# ── instances ────────────────────────────────────────────────────────────────────────────────────────────────


class InstanceCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/instances`. `deployment_id` is any deployment reference."""

    deployment_id: Annotated[str, Meta(min_length=1, max_length=300)]
    agent_id: AgentId | None = None
    config: dict[str, Any] | None = None
    secrets: dict[EnvName, str] | None = None
    environment: dict[EnvName, str] | None = None
    limits: LimitsTable | None = None
    idle_timeout: Annotated[str, Meta(max_length=32)] | None = None


class Instance(msgspec.Struct, frozen=True):
    """An instance as create answers and lists show it."""

    instance_id: str
    agent_id: str
    deployment_id: str
    status: InstanceStatus
    coordinator_id: str
    created_at: int


class Resources(msgspec.Struct, frozen=True):
    """What the instance's processes use now: memory in bytes, CPU seconds since start, number of processes."""

    rss_bytes: int = 0
    cpu_seconds: float = 0.0
    processes: int = 0


class WorkspaceInfo(msgspec.Struct, frozen=True):
    """Where the workspace is on its host, and what keeps it (`fuse`, `watch` or `directory`)."""

    path: str
    backend: str


class RunningTurn(msgspec.Struct, frozen=True):
    """The turn that runs now."""

    turn_id: str
    message_id: str
    attempt: int
    started_at: int


class InstanceInfo(Instance, frozen=True, kw_only=True):
    """An instance in full."""

    config: dict[str, Any]
    last_seq: int
    head_iteration: int
    turn: RunningTurn | None
    queue_depth: int
    resources: Resources
    restarts: int
    workspace: WorkspaceInfo
    isolation: str
    state_version: int
    pending_requests: int
    reason: str | None = None


class CoordinatorCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Coordinator `POST /instances`: the gateway has resolved the deployment, merged the environment and chosen the ids.

    Repeating it with the same `instance_id` gives the same instance. `environment` and `secrets` are what the
    process sees beside the platform's own variables; later layers have already won.
    """

    instance_id: str
    agent_id: str
    tenant_id: str
    deployment: Deployment
    config: dict[str, Any] = {}
    runtime_config: dict[str, Any] = {}
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    limits: LimitsTable = LimitsTable()
    idle_timeout: str | None = None


class Adopt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Coordinator `POST /agents/{agent_id}/adopt`: the agent's instance that is to go on here. Repeating it is fine. `seen`: the
    newest event the caller has passed on to a client."""

    instance_id: str
    seen: Annotated[int, Meta(ge=0)] = 0


class MessageSend(msgspec.Struct, frozen=True):
    """`POST …/messages`: `text` and any metadata beside it, which reaches the agent as part of the message."""

    text: str
    on_busy: OnBusy = "queue"


class MessageAccepted(msgspec.Struct, frozen=True):
    """The message is durable; `seq` is its `message.user` event."""

    turn_id: str
    message_id: str
    seq: int


class TurnUsage(msgspec.Struct, frozen=True):
    """Sum of the turn's `usage.update` events."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_micro_dollars: int = 0


class TurnResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """`POST …/messages?wait=true`: the whole answer. `error`, when the turn failed: what its `error` event says; the log has more."""

    turn_id: str
    text: str
    stop_reason: str
    usage: TurnUsage
    error: str | None = None


class ConversationMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the conversation; `content` holds metadata beside `text`."""

    message_id: str
    role: Literal["user", "agent"]
    text: str
    turn_id: str
    seq: int
    ts: int
    stop_reason: str | None = None
    content: dict[str, Any] | None = None


class JournalEvent(msgspec.Struct, frozen=True, rename="camel"):
    """An event of the journal, in the envelope of the stream."""

    message_type: str
    content: dict[str, Any]
    agent_id: str
    instance_id: str
    turn_id: str
    seq: int
    ts: int


class LogRecord(msgspec.Struct, frozen=True):
    """One line of the agent's log. `source` is `agent`, `stdout`, `stderr` or `platform`."""

    id: int
    ts: int
    level: str
    message: str
    module: str
    source: str
    turn_id: str = ""
    fields: dict[str, Any] | None = None


class LogPage(msgspec.Struct, frozen=True):
    """Log records oldest first; `total` counts all that match."""

    items: list[LogRecord]
    next_cursor: str | None
    total: int


class StateView(msgspec.Struct, frozen=True):
    """The state at a version. `state_schema` is the `_version` of the state class that wrote it; null before any state."""

    version: int
    state: dict[str, Any]
    state_schema: int | None = None


class PendingRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question or permission, open or resolved; `content` is that of its event."""

    request_id: str
    kind: Literal["question", "permission"]
    turn_id: str
    status: Literal["open", "resolved"]
    content: dict[str, Any]
    created_at: int
    seq: int
    expires_at: int | None = None
    outcome: str | None = None
    option_id: str | None = None
    answers: dict[str, Any] | None = None
    by: str | None = None
    resolved_at: int | None = None


class RequestAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST …/requests/{request_id}`: exactly one of the three."""

    option_id: str | None = None
    answers: dict[str, Any] | None = None
    dismissed: bool = False


class Agent(msgspec.Struct, frozen=True):
    """A durable identity. `instance_id` and `status` are null when no instance is alive."""

    agent_id: str
    tenant_id: str
    agent_type: str
    last_deployment_id: str
    epoch: int
    created_at: int
    instance_id: str | None = None
    status: InstanceStatus | None = None


# ── configuration, secrets, hosts ────────────────────────────────────────────────────────────────────────────


class ConfigView(msgspec.Struct, frozen=True):
    """The runtime layer of the configuration."""

    config: dict[str, Any]
    version: int


class SecretNames(msgspec.Struct, frozen=True):
    """Names of the secrets an agent type has; values never leave."""

    agent_type: str
    names: list[str]


class Model(msgspec.Struct, frozen=True):
    """A model agents may use. Prices are micro-dollars per million tokens."""

    id: str
    provider: str = ""
    capabilities: list[str] = []
    context_window: int | None = None
    input_price_micro_dollars: int | None = None
    output_price_micro_dollars: int | None = None


class Load(msgspec.Struct, frozen=True):
    """How full a coordinator is."""

    agents: int
    agents_limit: int
    cpu: float
    memory: int
    memory_limit: int


class Coordinator(msgspec.Struct, frozen=True):
    """A coordinator as discovery knows it. `state` is `active` or `draining`."""

    coordinator_id: str
    url: str
    version: str
    started_at: int
    state: Literal["active", "draining"]
    load: Load


class Health(msgspec.Struct, frozen=True):
    """`GET /health`: the process is alive."""

    status: Literal["ok"]
    version: str


class Ready(msgspec.Struct, frozen=True):
    """`GET /ready`: `ready`, or which dependency fails."""

    status: Literal["ready", "not_ready"]
    failing: list[str]
