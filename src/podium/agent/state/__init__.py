"""Delta state: plain objects whose mutation is recorded as JSON Patch."""

from podium.agent.state.root import DeltaState

__all__ = ["DeltaState"]
