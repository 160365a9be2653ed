"""An agent in-process: send a message, look at its events, assert on its state."""

import asyncio
import copy
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from podium.agent import runtime
from podium.agent.entry import factory_of
from podium.testing.coordinator import MemoryCoordinator, new_id
from podium.testing.errors import AgentHarnessError, AgentStartError, HarnessTimeoutError
from podium.testing.turn import HarnessEvent, HarnessTurn
from podium.testing.versions import HarnessVersions
from podium.wire import link

TIMEOUT_SECONDS: Final = 10.0
"""How long any wait of the harness takes at most, unless told otherwise."""

Responder = Callable[[HarnessEvent], Any]
"""Gets the request's event; returns the option's id (permission) or the answers (question), None to leave it open."""


class StoredState(msgspec.Struct, frozen=True):
    """A state to start from: `data` as written by a class with `_version` `version`."""

    data: dict[str, Any]
    version: int = 1


class AgentHarness:
    """`async with AgentHarness(Counter) as agent: turn = await agent.send("hi"); assert turn.text == "…"`.

    Runs the same code as a deployed agent over a socket pair. `agent` is what a manifest's `entry` names: a class or a
    function. `permissions` and `questions` answer whatever is asked: a fixed answer, or a function of the event; without
    them, answer with `answer`. `state` is a stored state to start from, also one of an older `_version`.
    """

    def __init__(
        self,
        agent: Any,
        *,
        config: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        state: StoredState | dict[str, Any] | None = None,
        permissions: Responder | str | None = None,
        questions: Responder | dict[str, Any] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.config: dict[str, Any] = dict(config or {})
        self._factory = factory_of(agent)
        self._secrets = dict(secrets or {})
        self._permissions, self._questions = permissions, questions
        self._timeout = timeout
        self._agent_id, self._instance_id = new_id("agt"), new_id("inst")
        self._coordinator = MemoryCoordinator(self._respond)
        self._serving: asyncio.Task[int] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if state is not None:
            stored = state if isinstance(state, StoredState) else StoredState(state)
            coordinator = self._coordinator
            coordinator.state, coordinator.version, coordinator.schema = copy.deepcopy(stored.data), 1, stored.version

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="podium-harness-")
        self._coordinator.versions = HarnessVersions(Path(self._folder.name) / "workspace")
        try:
            await self.start()
        except BaseException:
            await self.crash()
            self._clean_up()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await (self.crash() if error is not None else self.stop())
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        if self._coordinator.versions is not None:
            self._coordinator.versions.close()
        if self._folder is not None:
            self._folder.cleanup()

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> dict[str, Any]:
        """The state as it is stored, also while no process runs."""
        return self._coordinator.state or {}

    @property
    def state_version(self) -> int:
        """Its number: one more with every delta."""
        return self._coordinator.version

    @property
    def events(self) -> list[HarnessEvent]:
        """All events, also those outside turns."""
        return self._coordinator.events

    @property
    def logs(self) -> list[link.Log]:
        """All log records."""
        return self._coordinator.logs

    @property
    def workspace(self) -> Path:
        """The agent's directory; removed at the end."""
        if self._coordinator.versions is None:
            raise AgentHarnessError("use the harness with `async with`")
        return self._coordinator.versions.directory

    # ── talking ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, text: str, **data: Any) -> HarnessTurn:
        """Sends a message and waits for the end of its turn.

        Raises:
            HarnessTimeoutError: it did not end in time.
        """
        return await self.begin(text, **data).done()

    def begin(self, text: str, **data: Any) -> HarnessTurn:
        """Sends a message and returns its turn while it runs: `until`, `steer`, `cancel`, `done`."""
        message = link.Message(
            id=new_id("msg"),
            turn_id=new_id("turn"),
            data={"text": text, "role": "user", **data},
            origin=link.Origin("test"),
            attempt=1,
        )
        turn = HarnessTurn(self._coordinator, message, self._timeout)
        self._coordinator.begin(turn)
        return turn

    def answer(self, request: HarnessEvent | str, answer: Any = None) -> None:
        """Answers a permission with an option's id, a question with a dict; None dismisses it."""
        request_id = request["request_id"] if isinstance(request, HarnessEvent) else request
        self._coordinator.resolve(request_id, **_resolution(answer))

    def expire(self, request: HarnessEvent) -> None:
        """Lets the deadline of a request pass: its default is taken."""
        default = request.content.get("default")
        option, answers = (default, None) if isinstance(default, str) else (None, default)
        self._coordinator.resolve(request["request_id"], "expired", option, answers)

    async def change_config(self, changes: Mapping[str, Any]) -> None:
        """Changes the configuration; returns when the agent has seen it."""
        self.config = {**self.config, **changes}
        self._coordinator.send(link.ConfigChanged(dict(changes), self.config, "runtime"))
        await self._settled()

    async def idle(self) -> bool:
        """Asks whether the agent may be put to sleep."""
        asked = len(self._coordinator.idle_replies)
        self._coordinator.send(link.IdleCheck())
        await self._until("idle_reply", lambda: len(self._coordinator.idle_replies) > asked)
        return self._coordinator.idle_replies[-1]

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def restart(self) -> None:
        """Stops the agent as a deployment does and starts it again, from what is stored."""
        await self.stop("restart")
        await self.start()

    async def crash_and_restart(self) -> None:
        """Ends the agent at once, wherever it is, and starts it again; a running turn is run again."""
        await self.crash()
        await self.start()

    async def stop(self, reason: str = "stop") -> int | None:
        """Runs `on_shutdown`; returns the exit code, None when nothing runs."""
        if self._serving is None or self._serving.done():
            return None
        self._coordinator.send(link.Shutdown(reason))
        return await self._ended()

    async def crash(self) -> None:
        """Ends the agent at once."""
        if self._serving is not None:
            self._coordinator.abort()
            await self._ended()

    async def start(self) -> None:
        """Starts a process for the agent, from what is stored; returns when `on_init` has returned.

        Raises:
            AgentStartError: it failed.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self._coordinator, sock=ours)
        self._serving = asyncio.get_running_loop().create_task(self._serve(theirs), name="agent")
        coordinator = self._coordinator
        coordinator.send(
            link.Init(
                protocol=link.LINK_PROTOCOL,
                agent_id=self._agent_id,
                instance_id=self._instance_id,
                agent_type="harness",
                deployment_id="harness:0.0.0@00000000",
                workspace=str(self.workspace),
                config=self.config,
                secrets=self._secrets,
                state=coordinator.state,
                state_version=coordinator.version,
                state_schema=coordinator.schema,
            )
        )
        await self._until("ready", lambda: coordinator.ready is not None or coordinator.init_error is not None)
        if coordinator.init_error is not None:
            traces = [
                str((record.fields or {}).get("traceback", "")) for record in self.logs if record.level == "error"
            ]
            raise AgentStartError("\n".join([coordinator.init_error, *traces]))

    async def _serve(self, theirs: socket.socket) -> int:
        served = runtime.connect(theirs, self._factory)
        served.made = self._instance_made
        return await runtime.finish(served)

    def _instance_made(self, instance: Any) -> None:
        self._coordinator.instance = instance

    async def _ended(self) -> int:
        if self._serving is None:
            return 0
        try:
            async with asyncio.timeout(self._timeout):
                code = await self._serving
        except TimeoutError:
            raise HarnessTimeoutError(f"the agent did not end within {self._timeout:g} s") from None
        self._coordinator.abort()
        await self._until("the link's end", lambda: not self._coordinator.connected)
        self._serving = self._coordinator.instance = None
        return code

    async def _settled(self) -> None:
        """Everything the agent was sent has been acted on and its answers are here."""
        pongs = self._coordinator.pongs
        self._coordinator.send(link.LinkPing(pongs + 1))
        await self._until("pong", lambda: self._coordinator.pongs > pongs)

    async def _until(self, what: str, holds: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                while not holds():
                    await self._coordinator.changed()
        except TimeoutError:
            raise HarnessTimeoutError(f"waited {self._timeout:g} s for {what}") from None

    def _respond(self, event: HarnessEvent) -> dict[str, Any] | None:
        responder = self._permissions if event.type == "tool.permission_requested" else self._questions
        if responder is None:
            return None
        given = responder(event) if callable(responder) else responder
        return None if given is None else _resolution(given)


def _resolution(answer: Any) -> dict[str, Any]:
    if answer is None:
        return {"outcome": "dismissed", "option_id": None, "answers": None}
    if isinstance(answer, str):
        return {"outcome": "selected", "option_id": answer, "answers": None}
    return {"outcome": "answered", "option_id": None, "answers": dict(answer)}
