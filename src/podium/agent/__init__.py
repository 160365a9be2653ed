"""The SDK for agents: `from podium.agent import BaseAgent, AgentContext, DeltaState`."""

from podium.agent.asking import Answers, ChosenOption
from podium.agent.base_agent import BaseAgent
from podium.agent.commands import CommandResult
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
