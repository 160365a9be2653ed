"""One session as one client has it open: its agent's journal on the way to the client, the client's wishes on the way back."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from diminuendo.acp.failures import by_podium
from diminuendo.acp.keeper import Keeper, SessionView, answer_agent, stop_turn
from diminuendo.acp.rpc.messages import INTERNAL_ERROR, RpcError
from diminuendo.acp.rpc.peer import Peer, PeerGoneError
from diminuendo.acp.translation import prompts, updates
from diminuendo.acp.translation.asking import Asking, Words
from diminuendo.acp.translation.conversation import (
    Ask,
    Chosen,
    Conversation,
    Over,
    Resolved,
    Show,
    Step,
    surviving,
)
from diminuendo.acp.translation.offers import Offers, Setting, read_offers
from diminuendo.acp.translation.params import Block, ClientCapabilities
from diminuendo.acp.translation.prompts import Said
from diminuendo.acp.translation.updates import Update
from podium.base.tasks import TaskOwner
from podium.client import PodiumConnection, PodiumConnectionError, PodiumEvent
from podium.wire.commands import AnswerContent

EVENTS_AT_ONCE: Final = 200
"""Events that are passed on before others have their turn."""

_log = logging.getLogger(__name__)


class Spoken(NamedTuple):
    """A question the agent asked in words: what the person says next is the answer."""

    asked: Asking
    turn_id: str


class OpenSession:
    """Made for `session/new`, `session/load` and `session/resume`; `open` it, and `close` it at the end."""

    def __init__(self, view: SessionView, keeper: Keeper, peer: Peer, client: ClientCapabilities) -> None:
        self.view = view
        self.offers = Offers()
        self.settings: dict[str, Setting] = {}
        self._keeper = keeper
        self._peer = peer
        self._client = client
        self._own: set[str] = set()
        self._conversation = Conversation(view.cwd, client, self._own.__contains__)
        self._tasks = TaskOwner(f"acp-{view.session_id}")
        self._sending = (
            asyncio.Lock()
        )  # held while a message becomes a turn: none of its events is read before it is known as ours
        self._instance_id = ""
        self._stream: PodiumConnection | None = None
        self._seq = 0
        self._running: str | None = None
        self._turns: dict[str, asyncio.Future[Over]] = {}
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._spoken: Spoken | None = None
        self._stopping: set[str] = set()
        self._on_their_way: set[asyncio.Task[tuple[str, asyncio.Future[Over]]]] = set()
        self._left = False

    # ── beginning and end ────────────────────────────────────────────────────────────────────────────────────

    async def open(self, *, replay: bool) -> Callable[[], None]:
        """Attaches to the agent and reads what was said so far; with `replay` the client is told all of it. What is returned is
        to be called when the client knows that the session is open: it gets what comes from now on.

        Raises:
            PodiumConnectionError: the agent can't be had, or its journal not be read.
        """
        stream = await self._attach(0)
        self.offers = read_offers((await self._keeper.podium.instances.get(self._instance_id)).config)
        self.settings = self.offers.settled({})
        past = await self._past(stream)
        steps = [step for event in surviving(past) for step in self._conversation.take(event)]
        for update in updates.coalesced(_told(steps)) if replay else ():
            self._show(update)
            await self._peer.outlet.room()
        for step in steps:
            if isinstance(step, Chosen):
                self.settings = self.offers.settled({**self.settings, **step.settings})
        waiting = {step.asked.request_id: step for step in steps if isinstance(step, Ask)}
        for step in steps:
            if isinstance(step, Resolved):
                waiting.pop(step.request_id, None)
        return lambda: self._go_on(stream, list(waiting.values()))

    def hang_up(self) -> None:
        """Prompts that wait are answered now; their turns go on."""
        self._left = True
        self._end_turns(RpcError(INTERNAL_ERROR, "the session was closed; its turn goes on"))

    async def close(self) -> None:
        """Lets go of the session. Its agent goes on with what it does."""
        self.hang_up()
        stream, self._stream = self._stream, None
        await self._tasks.close()
        if stream is not None:
            await stream.close()

    async def _attach(self, after: int) -> PodiumConnection:
        self._instance_id = await self._keeper.instance(self.view)
        self._stream = await self._keeper.podium.connect(self._instance_id, after=after)
        return self._stream

    async def _past(self, stream: PodiumConnection) -> list[PodiumEvent]:
        """The journal as far as it went when we came."""
        assert stream.info is not None
        found: list[PodiumEvent] = []
        until = stream.info.last_seq
        while self._seq < until:
            event = await anext(stream.events, None)
            if event is None:
                raise RpcError(INTERNAL_ERROR, "the connection to the agent was closed")
            if event.seq:
                found.append(event)
                self._note(event)
        return found

    def _go_on(self, stream: PodiumConnection, waiting: Sequence[Ask]) -> None:
        if self.offers.commands:
            self._show(updates.commands([command.as_json() for command in self.offers.commands]))
        for step in waiting:
            self._act(step)
        self._tasks.start(self._follow(stream), "follow")

    # ── what the client wants ────────────────────────────────────────────────────────────────────────────────

    async def prompt(self, blocks: Sequence[Block]) -> dict[str, Any]:
        """Hands a prompt to the agent and waits until its turn is over, or until it asks something in words.

        Raises:
            RpcError: the turn failed, or the prompt is not for this agent.
            PodiumConnectionError: it could not be handed over.
        """
        said = prompts.said(blocks, self.view.cwd, self.settings, images=self.offers.images)
        work = self._hand_over(said) if self._spoken is None else self._reply(self._spoken, said.text)
        # A task of its own: it goes on when the client takes its request back, so that there is a turn to stop.
        handing_over = self._tasks.start(work, "prompt", awaited=True)
        self._on_their_way.add(handing_over)
        handing_over.add_done_callback(self._on_their_way.discard)
        try:
            turn_id, over = await asyncio.shield(handing_over)
            if not self.view.title and said.title:
                await self._entitle(said.title)
            end = await over
        except asyncio.CancelledError:
            if not self._left:
                self._tasks.start(self.cancel(), "cancel")
            raise
        if self._turns.get(turn_id) is over:
            del self._turns[turn_id]
        if end.failure is not None:
            raise end.failure
        return {"stopReason": end.stop_reason}

    async def cancel(self) -> None:
        """Ends the turns of this client's prompts, and whatever else runs in the session."""
        if self._on_their_way:  # prompts that are to be stopped, too
            await asyncio.wait(set(self._on_their_way))
        turns = {*self._turns, *([self._running] if self._running is not None else [])}
        self._stopping |= turns
        for turn_id in turns:
            await stop_turn(self._keeper.podium, self._instance_id, turn_id)

    def choose(self, option_id: str, setting: Setting) -> None:
        """Sets an option; the agent hears of it with the next message.

        Raises:
            RpcError: there is no such option, or it can't have that value.
        """
        self.offers.check(option_id, setting)
        self._chosen({option_id: setting})

    @property
    def as_options(self) -> list[dict[str, Any]]:
        """`configOptions` as they are now."""
        return self.offers.as_options(self.settings, booleans=self._client.booleans)

    @property
    def setup(self) -> dict[str, Any]:
        """What the answers to `session/new`, `load` and `resume` say of options and modes."""
        told: dict[str, Any] = {"configOptions": self.as_options} if self.offers.options else {}
        modes = self.offers.as_modes(self.settings)
        return told if modes is None else {**told, "modes": modes}

    async def _hand_over(self, said: Said) -> tuple[str, asyncio.Future[Over]]:
        """Makes a message a turn of ours."""
        async with self._sending:
            if self._stream is None:
                self._tasks.start(self._follow(await self._attach(self._seq)), "follow")
            turn_id = await self._keeper.run_turn(self.view, self._instance_id, said)
            self._own.add(turn_id)
            return turn_id, self._await_turn(turn_id)

    async def _reply(self, spoken: Spoken, text: str) -> tuple[str, asyncio.Future[Over]]:
        """Gives the agent its answer; the turn that asked is waited for."""
        self._spoken = None
        over = self._await_turn(spoken.turn_id)
        answer = spoken.asked.take(text)
        if answer is None:
            self._act(Ask(spoken.asked, spoken.turn_id))
        else:
            await answer_agent(self._keeper.podium, self._instance_id, answer)
        return spoken.turn_id, over

    def _await_turn(self, turn_id: str) -> asyncio.Future[Over]:
        over: asyncio.Future[Over] = asyncio.get_running_loop().create_future()
        self._turns[turn_id] = over
        return over

    async def _entitle(self, title: str) -> None:
        self.view = self.view._replace(title=title)
        await self._keeper.rename(self.view.session_id, title)
        self._show(updates.title(title))

    # ── what the agent does ──────────────────────────────────────────────────────────────────────────────────

    async def _follow(self, stream: PodiumConnection) -> None:
        passed = 0
        failure = RpcError(INTERNAL_ERROR, "the connection to the agent was closed")
        try:
            async for event in stream.events:
                async with self._sending:
                    self._note(event)
                    for step in self._conversation.take(event):
                        self._act(step)
                await self._peer.outlet.room()
                passed += 1
                if passed % EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        except PodiumConnectionError as error:
            failure = by_podium(error)
        if self._stream is stream:
            self._stream = None
            self._running = None
            self._end_turns(failure)
            await stream.close()

    def _note(self, event: PodiumEvent) -> None:
        if event.seq:
            self._seq = event.seq
        if event.turn_id is not None and event.kind != "message.user":  # which may still wait for its turn
            self._running = None if event.kind == "checkpoint" else event.turn_id

    def _act(self, step: Step) -> None:
        match step:
            case Show():
                self._show(step.update)
            case Chosen():
                self._chosen(step.settings)
            case Ask():
                self._asked[step.asked.request_id] = self._tasks.start(self._ask(step), "ask")
            case Resolved():
                self._forget(step.request_id)
            case Over():
                self._stopping.discard(step.turn_id)
                self._own.discard(step.turn_id)
                if self._spoken is not None and self._spoken.turn_id == step.turn_id:
                    self._spoken = None
                self._end_turn(step)

    def _show(self, update: Update) -> None:
        self._peer.notify("session/update", {"sessionId": self.view.session_id, "update": update})

    def _chosen(self, settings: dict[str, Any]) -> None:
        before = self.settings
        self.settings = self.offers.settled({**before, **settings})
        if self.settings == before:
            return
        mode = self.offers.mode
        if mode is not None and self.settings[mode.id] != before[mode.id]:
            self._show({"sessionUpdate": "current_mode_update", "currentModeId": self.settings[mode.id]})
        self._show({"sessionUpdate": "config_option_update", "configOptions": self.as_options})

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, step: Ask) -> None:
        asked = step.asked
        answer: AnswerContent | None = None
        while answer is None:
            wanted = asked.next()
            if wanted is None:
                return
            if isinstance(wanted, Words):
                self._speak(wanted, step)
                return
            try:
                given = await self._peer.request(wanted.method, {"sessionId": self.view.session_id, **wanted.params})
            except PeerGoneError:
                return  # it stays open: whoever opens the session next is asked
            except RpcError as error:
                _log.warning("acp_client_refused", extra={"method": wanted.method, "reason": error.message})
                given = None
            if step.turn_id in self._stopping:
                return  # the turn ends, and with it what it asked
            answer = asked.take(given)
        self._asked.pop(asked.request_id, None)
        await answer_agent(self._keeper.podium, self._instance_id, answer)

    def _speak(self, wanted: Words, step: Ask) -> None:
        self._show(updates.chunk("agent_message_chunk", wanted.text, f"ask-{step.asked.request_id}"))
        self._asked.pop(step.asked.request_id, None)
        self._spoken = Spoken(step.asked, step.turn_id)
        self._end_turn(Over(step.turn_id, "end_turn", None))

    def _forget(self, request_id: str) -> None:
        task = self._asked.pop(request_id, None)
        if task is not None:
            task.cancel()
        if self._spoken is not None and self._spoken.asked.request_id == request_id:
            self._spoken = None

    # ── the ends of turns ────────────────────────────────────────────────────────────────────────────────────

    def _end_turn(self, over: Over) -> None:
        waiting = self._turns.pop(over.turn_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(over)

    def _end_turns(self, failure: RpcError) -> None:
        for turn_id in list(self._turns):
            self._end_turn(Over(turn_id, "", failure))
        self._spoken = None
        for task in self._asked.values():
            task.cancel()
        self._asked.clear()


def _told(steps: Iterable[Step]) -> Iterator[Update]:
    """What one who comes later is shown."""
    for step in steps:
        if isinstance(step, Show):
            yield step.update
        elif isinstance(step, Resolved):
            yield from step.said
