"""What a new process is started with, and its first frame."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from podium.base import telemetry
from podium.coordinator.domain.ports import Brokered, PreparedDeployment, ProcessSpec
from podium.wire.link import LINK_PROTOCOL, Init, TurnInfo

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance


def process_spec(
    instance: "Instance", prepared: PreparedDeployment, workspace: Path, brokered: Brokered
) -> ProcessSpec:
    """The process to start. Secrets win over the environment, as later layers do."""
    facts = instance.facts
    return ProcessSpec(
        instance_id=facts.instance_id,
        agent_id=facts.agent_id,
        tenant_id=facts.tenant_id,
        deployment=prepared,
        agent_directory=instance.directory,
        workspace=workspace,
        environment={**_trace(), **facts.environment, **brokered.secrets, **brokered.environment},
        limits=instance.limits,
        uid_slot=facts.uid_slot,
    )


def _trace() -> dict[str, str]:
    """The trace of the start, for programs that go on with it; whoever sets the variable himself means it."""
    traceparent = telemetry.current.get()
    return {telemetry.VARIABLE: traceparent} if traceparent else {}


def init_frame(instance: "Instance", workspace: Path, secrets: dict[str, str]) -> Init:
    """The first frame: who the agent is, its `secrets` as it may see them, and its state as stored. The state's JSON is passed through unparsed."""
    facts, store = instance.facts, instance.store
    state = store.state() if store.state_version else None
    running = instance.queue.running
    turn = None
    if running is not None and running.attempt:
        turn = TurnInfo(running.entry.turn_id, running.attempt, running.entry.message_id)
    return Init(
        protocol=LINK_PROTOCOL,
        agent_id=facts.agent_id,
        instance_id=facts.instance_id,
        agent_type=facts.deployment.agent_type,
        deployment_id=facts.deployment.deployment_id,
        workspace=str(workspace),
        config=instance.config(),
        secrets=secrets,
        state=cast("dict[str, Any] | None", msgspec.Raw(state.data)) if state is not None else None,
        state_version=store.state_version,
        state_schema=store.state_schema,
        turn=turn,
    )
