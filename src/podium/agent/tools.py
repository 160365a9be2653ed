"""A tool call the agent makes: `async with ctx.tool_call(...) as call`."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from podium.agent.errors import AgentUsageError
from podium.wire.events import ToolCall, ToolCallDelta, ToolCallStart, ToolError, ToolResult

if TYPE_CHECKING:
    from podium.agent.context import AgentContext


class ToolCallSpec(msgspec.Struct, frozen=True):
    """What is known of a call when it begins."""

    id: str
    name: str
    arguments: Any = None
    kind: str | None = None
    title: str | None = None
    locations: list[dict[str, Any]] | None = None


class ToolCallHandle:
    """Sends `tool.call_start` on entering, `tool.call` with the whole arguments, and `tool.result` or `tool.error`.

    Arguments that stream are sent with `delta`; `tool.call` follows when the code between waits for something else or
    says something else. Without given arguments, `call.arguments = …` may be set later; else the joined deltas count.
    """

    def __init__(self, ctx: "AgentContext", spec: ToolCallSpec) -> None:
        self._ctx = ctx
        self._spec = spec
        self._deltas: list[str] = []
        self._settled = False
        self.arguments: Any = spec.arguments
        self.result: Any = None

    @property
    def id(self) -> str:
        """`call-…`: what a permission for this call names."""
        return self._spec.id

    @property
    def name(self) -> str:
        """The tool's name."""
        return self._spec.name

    async def delta(self, fragment: str) -> None:
        """A further piece of the arguments' text."""
        self._deltas.append(fragment)
        self._ctx._tell("tool.call_delta", ToolCallDelta(tool_call_id=self.id, arguments_delta=fragment), keep=self)
        await self._ctx._room()

    async def __aenter__(self) -> Self:
        spec = self._spec
        try:
            msgspec.json.encode(spec.arguments)
        except (TypeError, ValueError, RecursionError) as error:
            raise AgentUsageError(f"{spec.name}: JSON can't hold its arguments: {error}") from error
        start = ToolCallStart(tool_call_id=self.id, tool_name=spec.name, title=spec.title, kind=spec.kind)
        self._ctx._tell("tool.call_start", start)
        self._ctx._unsettled().append(self)
        if spec.arguments is not None:
            self._ctx._soon(self.settle)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()
        if error is not None:
            self._fail(f"{kind.__name__}: {error}" if kind is not None and issubclass(kind, Exception) else "cancelled")
            return
        result = ToolResult(tool_call_id=self.id, tool_name=self.name, result=self.result)
        try:
            self._ctx._tell("tool.result", result)
        except AgentUsageError as refused:
            self._fail(str(refused))
            raise
        await self._ctx._room()

    def settle(self) -> None:
        """Sends `tool.call`, once. Called when something else happens after the arguments."""
        if self._settled:
            return
        self._settled = True
        calls = self._ctx._unsettled()
        if self in calls:
            calls.remove(self)
        call = ToolCall(
            tool_call_id=self.id,
            tool_name=self.name,
            arguments=self._whole_arguments(),
            locations=self._spec.locations,
        )
        self._ctx._tell("tool.call", call)

    @property
    def waits_for_arguments(self) -> bool:
        """Whether its arguments were not given yet, so that something else being said does not settle it."""
        return self.arguments is None

    def _whole_arguments(self) -> Any:
        if self.arguments is not None:
            return self.arguments
        text = "".join(self._deltas)
        try:
            return msgspec.json.decode(text) if text else {}
        except msgspec.DecodeError:
            return text

    def _fail(self, message: str) -> None:
        self._ctx._tell("tool.error", ToolError(tool_call_id=self.id, tool_name=self.name, message=message[:4096]))
