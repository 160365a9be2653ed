"""Moments of a whole agent over REST: listed, forked, gone back to. Times are epoch milliseconds."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from podium.wire.rest import AgentId, Instance

MomentNumber = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""`seq` of an event: the newest moment not after it is meant."""

MomentTurn = Annotated[str, Meta(min_length=1, max_length=64)]
"""`turn_id`: the end of that turn is meant."""

MomentRef = MomentNumber | MomentTurn
"""What names a moment."""


class Moment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A moment of an agent: its newest event, the version of its state, the iteration of its workspace. `turn_id` when it
    is the end of a turn; `kind`: `turn`, `rewind` (the agent was taken back), `fork` (it begins here), `now`."""

    seq: int
    state_version: int
    iteration: int
    kind: Literal["turn", "rewind", "fork", "now"]
    turn_id: str | None = None
    ts: int | None = None


class ForkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/agents/{agent_id}/fork`. Without `at`: as the agent is now, or as it was when its last turn ended while
    one is running. Without `agent_id` we make one."""

    at: MomentRef | None = None
    agent_id: AgentId | None = None


class Forked(Instance, frozen=True, kw_only=True):
    """The new agent, its instance (asleep), and the moment of the agent `source_agent_id` it begins with."""

    source_agent_id: str
    moment: Moment


class CoordinatorFork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Coordinator `POST /agents/{agent_id}/fork`: the gateway has chosen the ids. Repeating it with the same `instance_id`
    gives the same fork."""

    agent_id: AgentId
    instance_id: str
    at: MomentRef | None = None


class RewindRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/v1/agents/{agent_id}/rewind`."""

    at: MomentRef


class Rewound(msgspec.Struct, frozen=True):
    """The agent was taken back to `moment`. `seq` is the event that says so, `state_version` the number its old state has
    now. Going back to `undo` undoes it."""

    agent_id: str
    instance_id: str
    moment: Moment
    seq: int
    state_version: int
    undo: int
