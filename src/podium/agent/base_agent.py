"""The class authors subclass."""

from typing import TYPE_CHECKING, Any, ClassVar

from podium.agent.state import DeltaState

if TYPE_CHECKING:
    from podium.agent.context import AgentContext
    from podium.agent.turn import UserMessage


class BaseAgent:
    """An agent: override the hooks it needs. All of them run in one asyncio loop, in the agent's own process.

    A class attribute `State`, a subclass of `DeltaState`, makes the agent's state durable; it is found at `ctx.state`.
    The constructor is called with the configuration when it takes an argument, and without when it takes none.
    """

    State: ClassVar[type[DeltaState] | None] = None

    async def on_init(self, ctx: "AgentContext") -> None:
        """Once per process, before the first message; an exception means that the agent can't start."""

    async def on_message(self, ctx: "AgentContext", message: "UserMessage") -> None:
        """One turn. An exception ends the turn with an `error` event; the agent lives on.

        Cancellation raises `asyncio.CancelledError` here. After a crash the turn is run again, with `ctx.turn.attempt`
        one higher and the state as it was last sent.
        """

    async def on_config_change(self, ctx: "AgentContext", changes: dict[str, Any]) -> None:
        """The configuration changed; `ctx.config` is already the new one. May run beside a turn."""

    async def on_idle_timeout(self, ctx: "AgentContext") -> bool:
        """Nothing happened for a while: may the agent be put to sleep? False defers it."""
        return True

    async def on_shutdown(self, ctx: "AgentContext") -> None:
        """The process is about to end; at most `podium.agent.instance.SHUTDOWN_SECONDS`."""
