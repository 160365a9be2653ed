"""Rows of coordinator.db as values. Times are epoch milliseconds."""

from typing import Any

import msgspec

from podium.wire.manifest import LimitsTable
from podium.wire.rest import Deployment
from podium.wire.status import InstanceStatus


class AgentEntry(msgspec.Struct, frozen=True):
    """A durable identity this coordinator keeps. `uid_slot` is a small number no other agent here has."""

    agent_id: str
    tenant_id: str
    agent_type: str
    last_deployment_id: str
    uid_slot: int
    created_at: int


class InstanceEntry(msgspec.Struct, frozen=True):
    """An instance as it must be known after a restart.

    `sealed` is the environment and the secrets, sealed by the caller. `status` never tells `running` or `waiting`:
    what changes with turns is not written.
    """

    instance_id: str
    agent_id: str
    tenant_id: str
    deployment: Deployment
    created_at: int
    status: InstanceStatus = InstanceStatus.DEPLOYING
    config: dict[str, Any] = {}
    runtime_config: dict[str, Any] = {}
    limits: LimitsTable = LimitsTable()
    sealed: bytes = b""
    idle_timeout: str | None = None
    reason: str | None = None
    epoch: int = 0
    restarts: int = 0
