"""What a create call means: its fingerprint, its plan, and the request that goes to a coordinator."""

import hashlib
from typing import Any, Final

import msgspec

from podium.base.discovery import AgentRecord, Claim, InstanceRecord
from podium.wire.errors import ErrorCode, FieldError, PodiumError
from podium.wire.ids import is_agent_id
from podium.wire.limits import IDEMPOTENCY_KEY_MAX_CHARS
from podium.wire.manifest import Limits, LimitsTable, ManifestError, apply_limits
from podium.wire.rest import CoordinatorCreate, Deployment, Instance, InstanceCreate
from podium.wire.status import ALIVE, InstanceStatus
from podium.wire.units import parse_duration_ms

VARIABLE_MAX_BYTES: Final = 100 * 1024
"""Largest environment variable: the kernel refuses to start a process with one above 128 KiB."""

CLAIM_HOLD_SECONDS: Final = 5.0
"""How long the first caller of an `Idempotency-Key` works alone. Whoever takes over does the same thing: the plan names
the instance, and a coordinator asked twice for one instance makes it once."""


class Plan(msgspec.Struct, frozen=True):
    """What the first caller with an `Idempotency-Key` decided, so that whoever finishes it makes the same instance."""

    instance_id: str
    agent_id: str
    tenant_id: str
    deployment: Deployment


class Layers(msgspec.Struct, frozen=True):
    """What the platform adds to a create call. Secrets are in clear here; they go no further than the coordinator."""

    environment: dict[str, str]
    type_secrets: dict[str, str]
    runtime_config: dict[str, Any]


def check_create(wanted: InstanceCreate) -> None:
    """Checks what the schema can't say.

    Raises:
        PodiumError: `invalid_request`.
    """
    if wanted.agent_id is not None and not is_agent_id(wanted.agent_id):
        raise _invalid("agent_id", "use A-Z, a-z, 0-9, _ and -, at most 64 characters")
    for part in ("environment", "secrets"):
        for name, value in (getattr(wanted, part) or {}).items():
            check_variable(part, name, value)
    try:
        apply_limits(Limits(), wanted.limits or LimitsTable())
        if wanted.idle_timeout is not None:
            parse_duration_ms(wanted.idle_timeout)
    except (ManifestError, ValueError, OverflowError) as error:
        raise _invalid("limits" if isinstance(error, ManifestError) else "idle_timeout", str(error)) from error


def check_variable(part: str, name: str, value: str) -> None:
    """Checks that a process can be given this variable.

    Raises:
        PodiumError: `invalid_request`; the value is not repeated.
    """
    if "\n" in name:
        raise _invalid(part, "a name holds a line break")
    if "\0" in value:
        raise _invalid(f"{part}.{name}", "the value holds a zero character")
    if len(value.encode()) > VARIABLE_MAX_BYTES:
        raise _invalid(f"{part}.{name}", f"the value is larger than {VARIABLE_MAX_BYTES} bytes")


def check_idempotency_key(key: str) -> str:
    """`key`, if it is one.

    Raises:
        PodiumError: `invalid_request`.
    """
    if not 1 <= len(key) <= IDEMPOTENCY_KEY_MAX_CHARS or not key.isprintable():
        raise _invalid("header.Idempotency-Key", f"use 1 to {IDEMPOTENCY_KEY_MAX_CHARS} printable characters")
    return key


def fingerprint(wanted: InstanceCreate) -> str:
    """The same for equal requests, whatever the order of their keys; tells nothing of the secrets in them."""
    return hashlib.sha256(msgspec.json.encode(wanted, order="sorted")).hexdigest()


def check_claim(claim: Claim, print_: str) -> None:
    """Refuses a key that belongs to another request.

    Raises:
        PodiumError: `idempotency_conflict`.
    """
    if claim.fingerprint != print_:
        raise PodiumError(ErrorCode.IDEMPOTENCY_CONFLICT, "this Idempotency-Key was used with another body")


def check_agent(agent: AgentRecord, agent_type: str) -> None:
    """Refuses to continue an agent as another type: its state belongs to that type's code.

    Raises:
        PodiumError: `invalid_request`.
    """
    if agent.agent_type != agent_type:
        raise _invalid("deployment_id", f"the agent is of type {agent.agent_type}, not {agent_type}")


def existing(instance: InstanceRecord | None, deployment_id: str) -> Instance | None:
    """The agent's instance when it is alive with this deployment; None when the agent has none alive.

    Raises:
        PodiumError: `agent_in_use` (another deployment), `instance_stopping` (try again in a moment).
    """
    if instance is None or instance.status not in ALIVE:
        return None
    if instance.status is InstanceStatus.STOPPING:
        raise PodiumError(ErrorCode.INSTANCE_STOPPING, "the agent's last instance is still stopping", retry_after=1.0)
    if instance.deployment_id != deployment_id:
        raise PodiumError(ErrorCode.AGENT_IN_USE, f"the agent is alive with {instance.deployment_id}")
    return as_instance(instance)


def as_instance(record: InstanceRecord) -> Instance:
    """A record of discovery as REST shows it."""
    return Instance(
        record.instance_id,
        record.agent_id,
        record.deployment_id,
        record.status,
        record.coordinator_id,
        record.created_at,
    )


def coordinator_request(plan: Plan, wanted: InstanceCreate, layers: Layers) -> CoordinatorCreate:
    """The call to the coordinator. Later layers win: platform < environment, and type secrets < secrets of the call."""
    return CoordinatorCreate(
        instance_id=plan.instance_id,
        agent_id=plan.agent_id,
        tenant_id=plan.tenant_id,
        deployment=plan.deployment,
        config=wanted.config or {},
        runtime_config=layers.runtime_config,
        environment={**layers.environment, **(wanted.environment or {})},
        secrets={**layers.type_secrets, **(wanted.secrets or {})},
        limits=wanted.limits or LimitsTable(),
        idle_timeout=wanted.idle_timeout,
    )


def _invalid(loc: str, message: str) -> PodiumError:
    return PodiumError(ErrorCode.INVALID_REQUEST, f"{loc}: {message}", errors=[FieldError(loc, message)])
