"""One workspace while the coordinator knows it: whether it is mounted, its newest iteration, who follows it."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from chronicle.control.client import NobodyThereError
from chronicle.control.messages import Annotate, Request
from chronicle.layout import Layout
from chronicle.model.errors import ChronicleError
from chronicle.model.iterations import Iteration
from chronicle.page import Page
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.workspaces.failures import unavailable
from podium.coordinator.adapters.workspaces.holder import HolderLink

_log = logging.getLogger(__name__)

LINK_SECONDS: Final = 10.0
"""How long to look for the process that serves a mounted workspace: one that died is replaced within a second."""

LINK_PAUSE_SECONDS: Final = 0.02
LINK_PAUSE_MAX_SECONDS: Final = 2.0
"""Wait between two looks for it, doubled each time."""

UNSERVED_SECONDS: Final = 60.0
"""How often the log says that nobody serves a workspace that is wanted."""

HEAR_SECONDS: Final = 2.0
"""How long iterations may take to be heard of here once they are recorded."""

Follower = Callable[[list[Iteration]], None]
T = TypeVar("T")


class Presence:
    """The state of one workspace, and the link to who serves it. Used on the event loop only."""

    def __init__(self, agent_id: str, store: Path, tasks: TaskOwner) -> None:
        self.agent_id = agent_id
        self.lock = asyncio.Lock()
        """Held while it is mounted, unmounted, forked into or erased."""
        self.mounted = False
        self.head: int | None = None
        self.lingering: asyncio.TimerHandle | None = None
        self.followers: set[Follower] = set()
        layout = Layout(store)
        self._socket = layout.control
        self._page_file = layout.page
        self._page: Page | None = None
        self._tasks = tasks
        self._link: HolderLink | None = None
        self._linking = asyncio.Lock()
        self._seeking = False
        self._linked = asyncio.Event()
        self._heard = asyncio.Event()
        self.turn_id: str | None = None
        """Whose the changes are at present; kept when another process comes to serve it."""
        self.told = 0
        """How often that was said."""
        self.daemon = 0
        """The number of the daemon that mounted it last."""
        self.is_stale = False
        """What that daemon mounted is dead, and may still be there."""
        self.returning = False
        """Somebody sees to it that it is mounted again."""

    async def link(self) -> None:
        """Connects to who serves it, and follows from the newest iteration that is known. Who can't be reached now is looked for on.

        Raises:
            PodiumError: `workspace_unavailable`: nobody serves it yet.
        """
        try:
            await self._connect()
        except asyncio.CancelledError:
            self.seek()
            raise
        except (ChronicleError, OSError) as error:  # TimeoutError is an OSError
            self.seek()
            raise unavailable("nobody serves the workspace yet") from error

    async def _connect(self) -> None:
        """One try; bounded."""
        async with asyncio.timeout(LINK_SECONDS), self._linking:
            if self._link is not None:
                return
            link = await HolderLink.open(self._socket, self._recorded, self._lost)
            try:
                self.head = await link.follow(self.head)
                turn_id = self.turn_id
                if turn_id is not None:
                    await link.call(lambda number: Annotate(number, turn_id), type(None))
                if not self.mounted:
                    raise NobodyThereError("the workspace was closed meanwhile")
            except BaseException:
                link.close()
                raise
            self._close_page()
            self._page = Page.find(self._page_file)
            self._link = link
            self._linked.set()

    def unlink(self) -> None:
        """Nobody serves it from now on."""
        self._linked.clear()
        self._close_page()
        link, self._link = self._link, None
        if link is not None:
            link.close()

    async def annotate(self, turn_id: str | None) -> None:
        """See `Workspaces.annotate`."""
        if not self.begin_turn(turn_id):
            await self.ask(lambda number: Annotate(number, turn_id), type(None), LINK_SECONDS)

    def begin_turn(self, turn_id: str | None) -> bool:
        """As `annotate`, when that takes no request; False: it does."""
        self.turn_id = turn_id
        self.told += 1
        return self._page is not None and self._page.begin_turn(turn_id)

    def quiet(self) -> int | None:
        """The newest iteration, when a barrier would find nothing to do and followers were told of all; None: not known."""
        head = self._page.quiet() if self._page is not None else None
        return head if head == self.head else None

    def _close_page(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            page.close()

    async def ask(self, request: Callable[[int], Request], kind: type[T], seconds: float) -> T:
        """Asks who serves it; asks who comes after it when that one ends meanwhile, so: for what may be done twice.

        Raises:
            PodiumError: `workspace_unavailable`.
            ChronicleError: what was answered.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._linked.wait()
                    try:
                        if self._link is not None:
                            return await self._link.call(request, kind)
                    except NobodyThereError:
                        pass  # it died; who takes over is connected to in a moment
                    await asyncio.sleep(LINK_PAUSE_SECONDS)
        except TimeoutError:
            raise unavailable("the workspace does not answer now") from None

    async def hear(self, iteration: int) -> int:
        """Waits, a bounded time, until followers were told of `iteration`; returns it."""
        try:
            async with asyncio.timeout(HEAR_SECONDS):
                while (self.head or 0) < iteration and self.mounted:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            _log.warning("iterations_not_heard", extra={"agent_id": self.agent_id, "iteration": iteration})
        return iteration

    def _recorded(self, iterations: list[Iteration]) -> None:
        fresh = [each for each in iterations if each.iteration > (self.head or 0)]
        if not fresh:
            return
        self.head = fresh[-1].iteration
        self._heard.set()
        for follower in tuple(self.followers):
            follower(fresh)

    def _lost(self, link: HolderLink) -> None:
        if link is not self._link:
            return
        self._close_page()
        self._link = None
        self._linked.clear()
        self.seek()

    def seek(self) -> None:
        """Sees to it that somebody looks for who serves it, if it is mounted."""
        if self.mounted and not self._seeking:
            self._seeking = True
            self._tasks.start(self._link_again(), f"link to the workspace of {self.agent_id}")

    async def _link_again(self) -> None:
        """Looks for who serves it, as long as it is wanted."""
        loop = asyncio.get_running_loop()
        lost, said, pause = loop.time(), 0, LINK_PAUSE_SECONDS
        try:
            while self.mounted and self._link is None:
                try:
                    await self._connect()
                except (ChronicleError, OSError) as error:
                    waited = loop.time() - lost
                    if waited >= LINK_SECONDS + said * UNSERVED_SECONDS:
                        said += 1
                        seen = {"agent_id": self.agent_id, "seconds": round(waited), "error": str(error)}
                        _log.error("workspace_unserved", extra=seen)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LINK_PAUSE_MAX_SECONDS)
        finally:
            self._seeking = False
        if said:
            seen = {"agent_id": self.agent_id, "seconds": round(loop.time() - lost)}
            _log.info("workspace_served_again" if self._link is not None else "workspace_not_wanted", extra=seen)
