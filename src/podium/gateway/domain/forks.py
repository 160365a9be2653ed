"""What a fork call means: its fingerprint and its plan."""

import hashlib

import msgspec

from podium.wire.moments import CoordinatorFork, ForkRequest


class ForkPlan(msgspec.Struct, frozen=True):
    """What the first caller with an `Idempotency-Key` decided, so that whoever finishes it makes the same agent."""

    agent_id: str
    instance_id: str

    def request(self, wanted: ForkRequest) -> CoordinatorFork:
        """The call to the coordinator."""
        return CoordinatorFork(agent_id=self.agent_id, instance_id=self.instance_id, at=wanted.at)


def fork_fingerprint(source_id: str, wanted: ForkRequest) -> str:
    """The same for equal forks of one agent; never that of a create call."""
    return hashlib.sha256(b"fork " + msgspec.json.encode([source_id, wanted], order="sorted")).hexdigest()
