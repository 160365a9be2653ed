"""One end of a JSON-RPC connection: answers requests, makes its own, cancels both."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from diminuendo.acp.rpc import messages
from diminuendo.acp.rpc.messages import (
    CANCELLED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Batch,
    Id,
    Message,
    Notification,
    Refused,
    Request,
    Response,
    RpcError,
)
from podium.base import telemetry
from podium.base.tasks import TaskOwner

REQUESTS_MAX: Final = 100
"""Requests of the other side that are worked on at once; one more is refused. An editor has a handful."""

CANCEL_REQUEST: Final = "$/cancel_request"
"""Notification of either side: the answer to its request `requestId` is not wanted any more."""

METHOD_MAX_CHARS: Final = 100
"""A longer name of a method is cut in traces: the other side chooses it."""

_log = logging.getLogger(__name__)


class Outlet(Protocol):
    """Where messages go."""

    def write(self, message: bytes) -> None:
        """Sends a message, in order; keeps it as long as the other side does not take it. Nothing happens when it is gone."""
        ...

    async def room(self) -> None:
        """Waits until most of what was written is taken, or the other side is gone."""
        ...


class Answered(NamedTuple):
    """A result, and what is to be done as soon as it is written."""

    result: Any
    then: Callable[[], None]


class Handler(Protocol):
    """What the other side may ask for."""

    async def request(self, method: str, params: Any) -> Any:
        """The result, or `Answered`. Cancelled when the other side cancels the request.

        Raises:
            RpcError: the answer is this error.
        """
        ...

    async def notification(self, method: str, params: Any) -> None:
        """Hears a notification; an unknown one means nothing."""
        ...


class PeerGoneError(Exception):
    """The other side is gone, and with it the answer."""


class _Answers:
    """The answers to one batch, sent together when the last of them is there."""

    def __init__(self, count: int, outlet: Outlet) -> None:
        self._missing = count
        self._outlet = outlet
        self._found: list[bytes] = []

    def write(self, answer: bytes) -> None:
        self._found.append(answer)
        self._missing -= 1
        if not self._missing:
            self._outlet.write(messages.array(self._found))


class Peer:
    """One connection. `handler` is set before the first `receive`; `tasks` are closed by `close`."""

    def __init__(self, outlet: Outlet, name: str = "acp") -> None:
        self.outlet = outlet
        self.handler: Handler | None = None
        self._tasks = TaskOwner(name)
        self._made = 0
        self._waiting: dict[Id, asyncio.Future[Any]] = {}
        self._working: dict[Id, asyncio.Task[Any]] = {}
        self._closed = False

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes | str) -> None:
        """Takes a message. Never raises: what is wrong with it is answered."""
        came = messages.read(data)
        if not isinstance(came, Batch):
            self._take(came, self.outlet.write)
            return
        wanted = sum(isinstance(message, Request | Refused) for message in came.messages)
        answers = _Answers(wanted, self.outlet)
        for message in came.messages:
            self._take(message, answers.write)

    def refuse(self, error: RpcError) -> None:
        """Tells of something that came and was not even read."""
        self.outlet.write(messages.failure(None, error))

    def _take(self, message: Message, answer: Callable[[bytes], None]) -> None:
        if self._closed:
            return
        match message:
            case Refused():
                answer(messages.failure(message.id, message.error))
            case Response():
                self._settle(message)
            case Notification(method="$/cancel_request"):
                self._cancel(message.params)
            case Notification():
                self._tasks.start(self._hear(message), message.method)
            case Request():
                self._work(message, answer)

    def _work(self, request: Request, answer: Callable[[bytes], None]) -> None:
        if len(self._working) >= REQUESTS_MAX or request.id in self._working:
            text = "too many requests at once" if request.id not in self._working else "a request has this id already"
            answer(messages.failure(request.id, RpcError(INVALID_REQUEST, text)))
            return
        assert self.handler is not None
        work = _traced(self.handler, request)
        task = self._working[request.id] = self._tasks.start(work, request.method, awaited=True)
        # Not in the task itself: one that is cancelled before its first step never gets to an answer.
        task.add_done_callback(lambda done: self._answer(request, done, answer))

    def _answer(self, request: Request, done: asyncio.Task[Any], answer: Callable[[bytes], None]) -> None:
        self._working.pop(request.id, None)
        if self._closed:
            return
        error = RpcError(CANCELLED, "the request was cancelled") if done.cancelled() else done.exception()
        if error is None:
            found = done.result()
            result, then = found if isinstance(found, Answered) else (found, None)
            answer(messages.success(request.id, result))
            if then is not None:
                then()
            return
        if not isinstance(error, RpcError):  # a fault of ours ends one request, not the connection
            _log.error("acp_request_failed", extra={"method": request.method}, exc_info=error)
            error = RpcError(INTERNAL_ERROR, "something is wrong on our side")
        answer(messages.failure(request.id, error))

    async def _hear(self, notification: Notification) -> None:
        assert self.handler is not None
        try:
            await self.handler.notification(notification.method, notification.params)
        except RpcError as error:
            # A notification has no answer: who sends nonsense is told in the log.
            _log.info("acp_notification_refused", extra={"method": notification.method, "reason": error.message})

    def _cancel(self, params: Any) -> None:
        wanted = params.get("requestId") if isinstance(params, dict) else None
        task = self._working.get(wanted) if isinstance(wanted, str | int | float) else None
        if task is not None:
            task.cancel()

    def _settle(self, response: Response) -> None:
        waiting = self._waiting.pop(response.id, None)
        if waiting is None or waiting.done():
            return
        if response.error is not None:
            waiting.set_exception(response.error)
        else:
            waiting.set_result(response.result)

    # ── what goes ────────────────────────────────────────────────────────────────────────────────────────────

    async def request(self, method: str, params: Any) -> Any:
        """Asks the other side and waits for its answer. Cancelled, it tells so.

        Raises:
            RpcError: the other side answered with an error.
            PeerGoneError: it is gone.
        """
        if self._closed:
            raise PeerGoneError
        self._made += 1
        message_id = self._made
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = waiting
        self.outlet.write(messages.request(message_id, method, params))
        try:
            return await waiting
        except asyncio.CancelledError:
            if self._waiting.pop(message_id, None) is not None and not self._closed:
                self.notify(CANCEL_REQUEST, {"requestId": message_id})
            raise

    def notify(self, method: str, params: Any) -> None:
        """Tells the other side."""
        if not self._closed:
            self.outlet.write(messages.notification(method, params))

    async def drained(self, seconds: float) -> None:
        """Waits until every request that came is answered, at most so long."""
        if self._working:
            await asyncio.wait(set(self._working.values()), timeout=seconds)

    async def close(self) -> None:
        """Ends what is being worked on; requests of ours fail with `PeerGoneError`."""
        self._closed = True
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(PeerGoneError())
                future.exception()  # seen: nobody may be left to await it
        await self._tasks.close()


async def _traced(handler: Handler, request: Request) -> Any:
    """Does what is asked for, in a span below the client's: ACP reserves `_meta.traceparent` for its trace context."""
    meta = request.params.get("_meta") if isinstance(request.params, dict) else None
    given = meta.get("traceparent") if isinstance(meta, dict) else None
    parent = telemetry.valid(given) if isinstance(given, str) else ""
    with telemetry.span(request.method[:METHOD_MAX_CHARS], parent=parent, kind="server"):
        return await handler.request(request.method, request.params)


def read_params(params: Any, wanted: type[Any]) -> Any:
    """The parameters as a `wanted`.

    Raises:
        RpcError: they are none; `data` says where.
    """
    try:
        return msgspec.convert({} if params is None else params, wanted)
    except (msgspec.ValidationError, RecursionError) as error:
        raise RpcError(messages.INVALID_PARAMS, f"invalid params: {error}") from error
