"""What an author is given in every hook: the agent's identity, its state, and everything it can say and ask."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from podium.agent import tracing
from podium.agent.asking import Answers, ChosenOption, answered, chosen, read_options, read_questions
from podium.agent.errors import AgentUsageError
from podium.agent.logs import AgentLog
from podium.agent.message import MessageHandle
from podium.agent.secrets import Secrets
from podium.agent.thinking import Thoughts
from podium.agent.tools import ToolCallHandle, ToolCallSpec
from podium.agent.turn import Turn
from podium.wire import events
from podium.wire.ids import ENTROPY_BYTES, Kind, make_id

if TYPE_CHECKING:
    import asyncio

    from podium.agent.commands import CommandResult
    from podium.agent.instance import Instance
    from podium.agent.outbox import Sent

SteerHandler = Callable[[str], Awaitable[None] | None]
"""Called with the text of every steer."""


class AgentContext:
    """The context of one turn, or of a hook outside turns; that one follows the running turn.

    Everything here belongs to the agent's event loop: from another thread, use `loop.call_soon_threadsafe`.
    """

    def __init__(self, instance: "Instance", turn: Turn | None) -> None:
        self._instance = instance
        self._bound = turn
        self._outside: list[ToolCallHandle] = []

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def agent_id(self) -> str:
        """The agent's durable identity."""
        return self._instance.init.agent_id

    @property
    def instance_id(self) -> str:
        """This activation of the agent."""
        return self._instance.init.instance_id

    @property
    def agent_type(self) -> str:
        """The type its deployment was made for."""
        return self._instance.init.agent_type

    @property
    def deployment_id(self) -> str:
        """The code that runs: `type:version@hash8`."""
        return self._instance.init.deployment_id

    @property
    def turn(self) -> Turn | None:
        """The turn this context belongs to: `id`, `attempt`, `message_id`, `origin`. None outside turns."""
        return self._bound or self._instance.turn

    @property
    def traceparent(self) -> str:
        """The W3C trace context the agent works under now, for the header `traceparent` of requests to others: that of the turn,
        outside turns that of the start. Empty when there is none. OpenTelemetry, where the agent uses it, goes on with it by itself."""
        turn = self.turn
        return turn.traceparent if turn is not None else os.environ.get(tracing.VARIABLE, "")

    @property
    def state(self) -> Any:
        """The agent's state, of its class `State`. Changing it saves it.

        Raises:
            AgentUsageError: the agent declares no `State`.
        """
        if self._instance.state is None:
            raise AgentUsageError("the agent declares no State: add `class State(DeltaState)` to it")
        return self._instance.state

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it is now."""
        return self._instance.config

    def get_config(self, key: str, default: Any = None) -> Any:
        """The value at `key`, where dots lead into tables: `get_config("model.name")`; `default` when there is none."""
        if key in self.config:
            return self.config[key]
        value: Any = self.config
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value

    @property
    def workspace(self) -> Path:
        """The agent's directory of files."""
        return Path(self._instance.init.workspace)

    @property
    def secrets(self) -> Secrets:
        """The secrets of the instance; printing it hides their values."""
        return self._instance.secrets

    @property
    def log(self) -> AgentLog:
        """The agent's log: `ctx.log.info("paid", amount=3)`."""
        return self._instance.log

    @property
    def cancelled(self) -> "asyncio.Event":
        """Set when the turn is to end. Outside turns it is never set."""
        turn = self.turn
        return turn.cancelled if turn is not None else self._instance.never

    # ── saying something ────────────────────────────────────────────────────────────────────────────────────────

    async def send_message(self, text: str = "") -> MessageHandle:
        """Begins an answer. It is ended by `final=True`, by `end()`, by the next one, or with the turn."""
        turn = self.turn
        open_message = self._instance.open_message(turn)
        if open_message is not None:
            open_message._end("end_turn")
        handle = MessageHandle(self)
        handle._begin(turn.message_id if turn else "", turn.attempt if turn else 1)
        self._instance.set_open_message(turn, handle)
        if text:
            await handle.stream_token(text)
        await self._room()
        return handle

    def thinking(self) -> Thoughts:
        """`async with ctx.thinking() as thoughts: await thoughts.write(…)`."""
        return Thoughts(self)

    def tool_call(
        self,
        name: str,
        arguments: Any = None,
        *,
        kind: str | None = None,
        title: str | None = None,
        locations: list[dict[str, Any]] | None = None,
    ) -> ToolCallHandle:
        """`async with ctx.tool_call("search", {"q": "…"}) as call: call.result = …`; an exception becomes `tool.error`."""
        return ToolCallHandle(self, ToolCallSpec(self._new_id("call"), name, arguments, kind, title, locations))

    def usage(
        self,
        model: str,
        *,
        provider: str = "",
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        cost_micro_dollars: int = 0,
    ) -> "Sent":
        """What a model call cost; `cost_micro_dollars` is millionths of a dollar."""
        content = events.UsageUpdate(
            model=model,
            provider=provider,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            cost_micro_dollars=cost_micro_dollars,
        )
        return self._tell("usage.update", content)

    def context_window(self, total_tokens: int, max_tokens: int) -> "Sent":
        """How full the model's context window is."""
        percent = round(100 * total_tokens / max_tokens, 2) if max_tokens > 0 else 0.0
        content = events.UsageContext(total_tokens=total_tokens, max_tokens=max_tokens, percent_used=percent)
        return self._tell("usage.context", content)

    def plan(self, entries: Iterable[events.PlanEntry | Mapping[str, Any] | str]) -> "Sent":
        """The whole plan as it now stands; a text is an entry that is pending."""
        read = [{"content": entry, "status": "pending"} if isinstance(entry, str) else entry for entry in entries]
        return self._tell("plan.updated", events.PlanUpdated(entries=_converted(read, list[events.PlanEntry])))

    def emit(self, type: str, content: Any = None) -> "Sent":
        """Sends any event an agent may send; `content` is a struct of `podium.wire.events` or a mapping like it.

        Raises:
            AgentUsageError: an agent may not send this event, or the content does not fit it.
        """
        name = events.canonical(type)
        if name not in events.AGENT_EVENTS:
            raise AgentUsageError(
                f"an agent may not emit {type!r}; it may emit {', '.join(sorted(events.AGENT_EVENTS))}"
            )
        model = events.CONTENT_TYPES[name]
        return self._tell(name, _converted({} if content is None else content, model) if model else content)

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask_permission(
        self,
        tool_name: str,
        arguments: Any = None,
        *,
        options: Iterable[Any] | None = None,
        timeout: float | None = None,
        default: str | None = None,
        tool_call_id: str | None = None,
    ) -> ChosenOption:
        """Asks for leave and waits. Options are `PermissionOption`, `{option_id, name, kind}`, or just a kind. Returns the id of the chosen option (`.granted`, `.kind`, `.name`, `.outcome`).

        After `timeout` seconds the option `default` is taken, none when it is None. The request outlives the process:
        when the turn is run again after a crash and asks the same, an answer that came meanwhile is found.
        """
        offered = read_options(options)
        if default is not None and default not in {option.option_id for option in offered}:
            raise AgentUsageError(f"default {default!r} is none of the options")
        content = events.PermissionRequested(
            request_id="", tool_name=tool_name, options=offered, arguments=arguments, default=default
        )
        request_id = self._request_id(content)
        asked = msgspec.structs.replace(
            content, request_id=request_id, tool_call_id=tool_call_id, expires_at=_deadline(timeout)
        )
        return chosen(await self._ask("tool.permission_requested", request_id, asked), offered)

    async def ask(
        self,
        questions: str | events.Question | Mapping[str, Any] | Iterable[Any],
        *,
        timeout: float | None = None,
        default: dict[str, Any] | None = None,
    ) -> Answers:
        """Asks questions and waits. Returns the answers by question id; empty when dismissed (`.outcome` tells).

        A question is a text or `{id, question, options?, multiple?}`. `timeout` and restarts: as in `ask_permission`.
        """
        content = events.QuestionRequested(request_id="", questions=read_questions(questions), default=default)
        request_id = self._request_id(content)
        asked = msgspec.structs.replace(content, request_id=request_id, expires_at=_deadline(timeout))
        return answered(await self._ask("tool.question_requested", request_id, asked))

    async def run_command(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        output_limit: int | None = None,
    ) -> "CommandResult":
        """Runs a command (a text goes to the shell) in the workspace, or in `cwd` (relative to it), and streams its output.

        After `timeout` seconds its process group gets SIGTERM, then SIGKILL. What it left running is killed when it ends.
        Of its output, `output_limit` bytes are kept and streamed (1 MiB when None); the rest is thrown away.

        Raises:
            OSError: it can't be started.
        """
        from podium.agent import commands  # here: importing the SDK stays cheap

        folder = str(self.workspace / cwd) if cwd is not None else str(self.workspace)
        limit = commands.OUTPUT_MAX_BYTES if output_limit is None else output_limit
        spec = commands.CommandSpec(command, folder, env, timeout, limit)
        return await commands.RunningCommand(self, self._new_id("term"), spec, self._instance.groups).run()

    async def messages(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest messages of the conversation, oldest first.

        Raises:
            AgentRequestError: the coordinator refused, or did not answer in time.
        """
        found: list[dict[str, Any]] = await self._instance.request("messages", {"limit": limit})
        return found

    async def checkpoint(self, label: str = "") -> int:
        """Names this moment of the workspace; returns its iteration.

        Raises:
            AgentRequestError: the host has no versioned workspace, or did not answer in time.
        """
        answer = await self._instance.request("checkpoint", {"label": label})
        return int(answer["iteration"])

    async def history(self, path: str | os.PathLike[str] = "", limit: int = 100) -> list[dict[str, Any]]:
        """The changes of a path of the workspace, or of all of it, newest first: `{iteration, path, kind, timestamp, size,
        hash, mode, from, turn_id}`. What was written before this call is among them.

        Raises:
            AgentRequestError: the host has no versioned workspace, or did not answer in time.
        """
        asked = {"path": self._within(path), "limit": limit}
        found: list[dict[str, Any]] = await self._instance.request("history", asked)
        return found

    async def restore(
        self, moment: int | str | None = None, path: str | os.PathLike[str] = "", *, label: str = ""
    ) -> int:
        """Takes the workspace, or one path of it, back to an iteration or to a checkpoint's label (or a turn's id); returns
        the newest iteration then. It is recorded like any change, so it can be taken back too.

        Raises:
            AgentRequestError: the host has no versioned workspace, there is no such moment, or no answer came in time.
        """
        iteration, name = (moment, label) if isinstance(moment, int) else (None, moment or label)
        asked = {"iteration": iteration, "path": self._within(path), "label": name}
        answer = await self._instance.request("restore", asked)
        return int(answer["iteration"])

    # ── steering ────────────────────────────────────────────────────────────────────────────────────────────────

    def on(self, event: Literal["steer"], handler: SteerHandler) -> None:
        """Calls `handler` with the text of every steer; set in a turn, it ends with the turn.

        Raises:
            AgentUsageError: another event.
        """
        if event != "steer":
            raise AgentUsageError(f"there is no event {event!r} to wait for; there is 'steer'")
        self._instance.add_steer_handler(self.turn, handler)

    async def steering(self, *, wait: bool = True) -> AsyncIterator[str]:
        """The steers of this turn, until it ends; with `wait=False` only those that have come.

        A steer that a handler took does not come here.
        """
        turn = self.turn
        while turn is not None:
            while turn.steers:
                yield turn.steers.popleft()
            if not wait or turn.over.is_set():
                return
            turn.steered.clear()
            await turn.steered.wait()

    # ── inside the SDK ──────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, name: str, content: Any, *, keep: ToolCallHandle | None = None) -> "Sent":
        turn = self.turn
        if turn is not None and turn.over.is_set():
            raise AgentUsageError(f"{name}: the turn {turn.id} is over")
        for call in list(self._unsettled()):
            if call is not keep and not call.waits_for_arguments:
                call.settle()
        try:
            encoded = _encode(content)
        except (TypeError, ValueError, RecursionError) as error:
            raise AgentUsageError(f"{name}: JSON can't hold its content: {error}") from error
        return self._instance.outbox.send_event(turn.message_id if turn is not None else "", name, encoded)

    def _within(self, path: str | os.PathLike[str]) -> str:
        """A path as the workspace knows it, also of an absolute one inside it."""
        given = Path(path)
        if given.is_absolute() and given.is_relative_to(self.workspace):
            given = given.relative_to(self.workspace)
        return "" if given == Path() else str(given)

    def _soon(self, act: Callable[[], None]) -> None:
        self._instance.soon(act)

    async def _room(self) -> None:
        await self._instance.outbox.room()

    def _unsettled(self) -> list[ToolCallHandle]:
        turn = self.turn
        return turn.unsettled_calls if turn is not None else self._outside

    def _message_ended(self, handle: MessageHandle) -> None:
        if self._instance.open_message(self.turn) is handle:
            self._instance.set_open_message(self.turn, None)

    def _request_id(self, content: Any) -> str:
        turn = self.turn
        if turn is None:
            raise AgentUsageError("questions and permissions belong to a turn; none is running")
        try:
            return turn.request_id(content)
        except (TypeError, ValueError, RecursionError) as error:
            raise AgentUsageError(f"JSON can't hold what is asked: {error}") from error

    async def _ask(self, name: str, request_id: str, content: Any) -> Any:
        with self._instance.awaiting_answer(request_id) as answer:
            self._tell(name, content)
            return await answer

    @staticmethod
    def _new_id(kind: Kind) -> str:
        return make_id(kind, os.urandom(ENTROPY_BYTES))


def _deadline(timeout: float | None) -> int | None:
    return None if timeout is None else int((time.time() + timeout) * 1000)


def _converted(value: Any, model: Any) -> Any:
    try:
        return msgspec.convert(value, model, from_attributes=True)
    except msgspec.ValidationError as error:
        raise AgentUsageError(str(error)) from error


_encode = msgspec.json.Encoder().encode
