"""One instance: receives the coordinator's frames, runs the author's hooks, answers."""

import asyncio
import contextlib
import inspect
import logging
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from podium.agent import tracing
from podium.agent.base_agent import BaseAgent
from podium.agent.commands import kill_group
from podium.agent.context import AgentContext, SteerHandler
from podium.agent.errors import AgentRequestError
from podium.agent.hydration import hydrated
from podium.agent.logging_bridge import LinkHandler
from podium.agent.logs import AgentLog
from podium.agent.outbox import Outbox
from podium.agent.secrets import Secrets
from podium.agent.tasks import AgentTasks
from podium.agent.turn import Turn
from podium.wire import link
from podium.wire.events import StopReason

if TYPE_CHECKING:
    from podium.agent.message import MessageHandle
    from podium.agent.state import DeltaState

SHUTDOWN_SECONDS: Final = 5.0
"""How long `on_shutdown` may take."""

LEAVE_SECONDS: Final = 2.0
"""How long cancelled work may take to end when the process is about to."""

REQUEST_SECONDS: Final = 30.0
"""How long the coordinator may take to answer a request."""

ERROR_MAX_CHARS: Final = 4096
"""A longer message of an exception is cut; the log has all of it."""

EXIT_STOPPED: Final = 0
"""Exit code after `shutdown`."""

EXIT_INIT_FAILED: Final = 3
"""Exit code when the agent could not be made, its state not be read, or `on_init` raised."""

EXIT_LINK_LOST: Final = 4
"""Exit code when the coordinator went away or broke the protocol."""


class Instance:
    """Serves one agent from its `init` frame to its end. `frame_received` is called by whoever reads the link."""

    def __init__(self, init: link.Init, factory: Callable[[dict[str, Any]], BaseAgent], outbox: Outbox) -> None:
        self.init = init
        self.config = init.config
        self.secrets = Secrets(init.secrets)
        self.outbox = outbox
        self.log = AgentLog(self._send_log, init.agent_type)
        self.state: DeltaState | None = None
        self.turn: Turn | None = None
        self.never = asyncio.Event()
        self.groups: set[int] = set()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._factory = factory
        self._agent = BaseAgent()
        self._ctx = AgentContext(self, None)
        self._tasks = AgentTasks(self._task_failed)
        self._turn_task: asyncio.Task[Any] | None = None
        self._waiting: deque[link.Message] = deque()
        self._answers: dict[str, asyncio.Future[link.AnswerRequest]] = {}
        self._responses: dict[int, asyncio.Future[link.Response]] = {}
        self._requests_made = 0
        self._steer_handlers: list[tuple[Turn | None, SteerHandler]] = []
        self._open_message: tuple[Turn | None, MessageHandle] | None = None
        self._started = False
        self._ending = False
        self._thread = threading.get_ident()
        self._loop = asyncio.get_running_loop()
        self._handler = LinkHandler(self._send_log)
        self._acts: dict[type[Any], Callable[[Any], None]] = {
            link.Message: self._message,
            link.SteerTurn: self._steer,
            link.CancelTurn: self._cancel,
            link.AnswerRequest: self._answer,
            link.ConfigChanged: self._config_changed,
            link.IdleCheck: self._idle_check,
            link.Shutdown: self._shutdown,
            link.LinkPing: lambda frame: self.outbox.send(link.LinkPong(frame.nonce)),
            link.Response: self._response,
        }

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begins with the state and `on_init`; `ended` resolves with the exit code when all is over."""
        self._tasks.start(self._begin(), "init")

    async def _begin(self) -> None:
        try:
            self._agent = self._factory(self.init.config)
            model = self._agent.State
            if model is not None:
                self.state = hydrated(model, self.init, self.outbox)
            await _finished(self._agent.on_init(self._ctx))
        except asyncio.CancelledError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the author's code: whatever it raises is told, then we end
            self.log.failure("the agent could not be started", error)
            self.outbox.send(link.Failed("", _turn_error(error)))
            await self._leave(EXIT_INIT_FAILED)
            return
        self._started = True
        self.outbox.send(
            link.Ready(
                link.LINK_PROTOCOL,
                state_schema=model._version if model is not None else None,
                entity_type=(model._entity_type or None) if model is not None else None,
            )
        )
        self._next_turn()

    def listen_to_logging(self) -> None:
        """Sends the records of the standard library's loggers along, from INFO on unless the root logger says otherwise."""
        root = logging.getLogger()
        root.addHandler(self._handler)
        if root.level == logging.WARNING:
            root.setLevel(logging.INFO)

    def link_lost(self) -> None:
        """The coordinator is gone: nothing that is done now counts any more."""
        self._kill_commands()
        self._end(EXIT_LINK_LOST)

    async def close(self, seconds: float) -> None:
        """Cancels whatever still runs and waits for it at most `seconds`; commands are killed."""
        logging.getLogger().removeHandler(self._handler)
        await self._tasks.close(seconds)
        self._kill_commands()

    async def _leave(self, code: int) -> None:
        await self._tasks.close(LEAVE_SECONDS)
        self._kill_commands()
        self.outbox.flush()
        self._end(code)

    def _end(self, code: int) -> None:
        self._ending = True
        if not self.ended.done():
            self.ended.set_result(code)

    def _kill_commands(self) -> None:
        for group in self.groups:
            kill_group(group, signal.SIGKILL)

    # ── frames ──────────────────────────────────────────────────────────────────────────────────────────────────

    def frame_received(self, frame: link.ToAgent) -> None:
        """Acts on a frame; a second `init` is told in the log."""
        act = self._acts.get(type(frame))
        if act is None:
            self.log.error("unexpected_frame", type=type(frame).__name__)
        else:
            act(frame)

    def _message(self, frame: link.Message) -> None:
        self._waiting.append(frame)
        self._next_turn()

    def _steer(self, frame: link.SteerTurn) -> None:
        turn = self.turn
        if turn is None or turn.id != frame.turn_id:
            return
        handlers = [handler for owner, handler in self._steer_handlers if owner is None or owner is turn]
        if not handlers:
            turn.steer(frame.text)
        for handler in handlers:
            self._tasks.start(_called(handler, frame.text), "steer")

    def _cancel(self, frame: link.CancelTurn) -> None:
        turn = self.turn
        if turn is not None and turn.id == frame.turn_id and self._turn_task is not None:
            turn.cancelled.set()
            if turn.begun:  # a task cancelled before its first step would end without a word
                self._turn_task.cancel()
            return
        for message in self._waiting:
            if message.turn_id == frame.turn_id:
                self._waiting.remove(message)
                self.outbox.send(link.Complete(message.id, "cancelled"))
                return

    def _answer(self, frame: link.AnswerRequest) -> None:
        waiting = self._answers.get(frame.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _response(self, frame: link.Response) -> None:
        waiting = self._responses.get(frame.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _config_changed(self, frame: link.ConfigChanged) -> None:
        self.config = frame.config
        if self._started and not self._ending:
            self._tasks.start(_finished(self._agent.on_config_change(self._ctx, frame.changes)), "on_config_change")

    def _idle_check(self, _: link.IdleCheck) -> None:
        if self.turn is not None or self._waiting or not self._started or self._ending:
            self.outbox.send(link.IdleReply(allow=False))
        else:
            self._tasks.start(self._idle(), "on_idle_timeout")

    async def _idle(self) -> None:
        allow = False
        try:
            allow = bool(await _finished(self._agent.on_idle_timeout(self._ctx)))
        finally:  # an exception defers sleep too, and is logged by the task's owner
            self.outbox.send(link.IdleReply(allow and self.turn is None))

    def _shutdown(self, frame: link.Shutdown) -> None:
        if self._ending:
            return
        self._ending = True
        self._tasks.start(self._stop(frame.reason), "shutdown")

    async def _stop(self, reason: str) -> None:
        # A running turn is not completed: it is the coordinator's to end it, or to run it again elsewhere.
        await self._tasks.close(LEAVE_SECONDS)
        if self._started:
            try:
                async with asyncio.timeout(SHUTDOWN_SECONDS):
                    await _finished(self._agent.on_shutdown(self._ctx))
            except Exception as error:  # noqa: BLE001 - the author's code; the process ends all the same
                self.log.failure(f"on_shutdown ({reason}) failed", error)
        await self._leave(EXIT_STOPPED)

    # ── turns ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _next_turn(self) -> None:
        if self._started and not self._ending and self.turn is None and self._waiting:
            turn = self.turn = Turn(self._waiting.popleft())
            self._turn_task = self._tasks.start(self._run(turn), f"turn {turn.id}")

    async def _run(self, turn: Turn) -> None:
        ctx = AgentContext(self, turn)
        reason: StopReason = "end_turn"
        error: BaseException | None = None
        turn.begun = True
        tracing.go_on(turn.traceparent)
        try:
            if not turn.cancelled.is_set():
                await _finished(self._agent.on_message(ctx, turn.message))
        except asyncio.CancelledError as cancelled:
            if self._ending:
                self._forget(turn)
                raise
            error = cancelled  # of the author's own making, unless we were told to cancel
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - the author's code: the turn fails, the agent lives on
            error = failure
        if turn.cancelled.is_set():
            if error is not None and not isinstance(error, asyncio.CancelledError):
                self.log.failure("the cancelled turn raised", error)
            reason, error = "cancelled", None
        self._finish(turn, reason, error)

    def _finish(self, turn: Turn, reason: StopReason, error: BaseException | None) -> None:
        message = self.open_message(turn)
        if message is not None:
            message._end("error" if error is not None else reason)
        self._forget(turn)
        if error is None:
            self.outbox.send(link.Complete(turn.message_id, reason))
        else:
            self.log.failure("the turn failed", error)
            self.outbox.send(link.Failed(turn.message_id, _turn_error(error)))
        self._next_turn()

    def _forget(self, turn: Turn) -> None:
        turn.over.set()
        turn.steered.set()
        self.turn = self._turn_task = self._open_message = None
        self._steer_handlers = [(owner, handler) for owner, handler in self._steer_handlers if owner is not turn]

    # ── what contexts need ──────────────────────────────────────────────────────────────────────────────────────

    def open_message(self, turn: Turn | None) -> "MessageHandle | None":
        """The message of `turn` that has not ended."""
        return self._open_message[1] if self._open_message is not None and self._open_message[0] is turn else None

    def set_open_message(self, turn: Turn | None, handle: "MessageHandle | None") -> None:
        """The message of `turn` that has not ended is now `handle`."""
        self._open_message = None if handle is None else (turn, handle)

    def soon(self, act: Callable[[], None]) -> None:
        """Calls `act` when the running code next reaches the loop."""
        self._loop.call_soon(act)

    def add_steer_handler(self, turn: Turn | None, handler: SteerHandler) -> None:
        """`handler` is called with steers of `turn`, or of every turn when it is None."""
        self._steer_handlers.append((turn, handler))

    @contextlib.contextmanager
    def awaiting_answer(self, request_id: str) -> Iterator["asyncio.Future[link.AnswerRequest]"]:
        """A future that resolves with the answer to `request_id`. Leaving forgets it; the request itself stays."""
        future: asyncio.Future[link.AnswerRequest] = self._loop.create_future()
        self._answers[request_id] = future
        try:
            yield future
        finally:
            del self._answers[request_id]

    async def request(self, method: str, params: dict[str, Any]) -> Any:
        """Asks the coordinator.

        Raises:
            AgentRequestError: it refused, or did not answer in `REQUEST_SECONDS`.
        """
        self._requests_made += 1
        number = self._requests_made
        future = self._responses[number] = self._loop.create_future()
        self.outbox.send(link.Request(number, method, params))
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                response = await future
        except TimeoutError:
            raise AgentRequestError(f"{method}: no answer within {REQUEST_SECONDS:g} s") from None
        finally:
            del self._responses[number]
        if response.error is not None:
            raise AgentRequestError(response.error)
        return response.result

    def _send_log(self, record: link.Log) -> None:
        if threading.get_ident() == self._thread:
            self.outbox.send(record)
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads the log any more
                self._loop.call_soon_threadsafe(self.outbox.send, record)

    def _task_failed(self, name: str, error: BaseException) -> None:
        self.log.failure(f"{name} failed", error)


async def _finished(result: Any) -> Any:
    """The value of a hook, which may be a plain function."""
    return await result if inspect.isawaitable(result) else result


async def _called(handler: SteerHandler, text: str) -> None:
    await _finished(handler(text))


def _turn_error(error: BaseException) -> link.TurnError:
    message = str(error)[:ERROR_MAX_CHARS].encode("utf-8", "backslashreplace").decode()
    return link.TurnError(type(error).__name__, message)
