"""`DeltaState` under its long name; the class lives in `podium.agent.state`."""

from podium.agent.state import DeltaState

__all__ = ["DeltaState"]
