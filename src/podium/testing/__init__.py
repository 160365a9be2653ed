"""Run an agent in-process, without a server, and assert on what it said."""

from podium.testing.errors import AgentHarnessError, AgentStartError, HarnessTimeoutError, StateBypassedError
from podium.testing.harness import AgentHarness
from podium.testing.turn import HarnessEvent, HarnessTurn

__all__ = [
    "AgentHarness",
    "AgentHarnessError",
    "AgentStartError",
    "HarnessEvent",
    "HarnessTimeoutError",
    "HarnessTurn",
    "StateBypassedError",
]
