"""The SDK for agents: `from podium.agent import BaseAgent, AgentContext, DeltaState`.

Importing it costs what msgspec costs: asyncio and the rest come with the runtime (`podium.agent.runtime`), which the
platform has loaded already when the author's module is imported.
"""

from typing import TYPE_CHECKING, Any

from podium.agent.asking import Answers, ChosenOption
from podium.agent.base_agent import BaseAgent
from podium.agent.context import AgentContext
from podium.agent.errors import (
    AgentEntryError,
    AgentError,
    AgentRequestError,
    AgentUsageError,
    MigrationError,
    StateAliasError,
    StateError,
    StateFieldError,
    StateValueError,
)
from podium.agent.message import MessageHandle
from podium.agent.state import DeltaState
from podium.agent.turn import Turn, UserMessage
from podium.wire.events import PermissionOption, PlanEntry, Question

if TYPE_CHECKING:
    from podium.agent.commands import CommandResult

__all__ = [
    "AgentContext",
    "AgentEntryError",
    "AgentError",
    "AgentRequestError",
    "AgentUsageError",
    "Answers",
    "BaseAgent",
    "ChosenOption",
    "CommandResult",
    "DeltaState",
    "MessageHandle",
    "MigrationError",
    "PermissionOption",
    "PlanEntry",
    "Question",
    "StateAliasError",
    "StateError",
    "StateFieldError",
    "StateValueError",
    "Turn",
    "UserMessage",
]


def __getattr__(name: str) -> Any:
    if name == "CommandResult":
        from podium.agent.commands import CommandResult

        return CommandResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
