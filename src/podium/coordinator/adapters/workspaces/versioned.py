"""Workspaces kept by Chronicle: mounted by its supervisor, one process for each, with every version of every file."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from chronicle.control.messages import Barrier, MakeCheckpoint, Restore, Restored
from chronicle.model.errors import ChronicleError
from chronicle.model.iterations import Checkpoint, Iteration
from chronicle.workspace.library import Workspace
from podium.base.tasks import TaskOwner
from podium.coordinator.adapters.workspaces import mounting
from podium.coordinator.adapters.workspaces.collecting import collecting
from podium.coordinator.adapters.workspaces.failures import problems
from podium.coordinator.adapters.workspaces.mounts import Awake, Mounts
from podium.coordinator.adapters.workspaces.places import Places
from podium.coordinator.adapters.workspaces.presence import Presence
from podium.coordinator.adapters.workspaces.shelf import Shelf
from podium.coordinator.adapters.workspaces.stores import Owner, Stores
from podium.coordinator.adapters.workspaces.supervision import Supervision
from podium.coordinator.adapters.workspaces.trial import Found, Wanted
from podium.coordinator.adapters.workspaces.workers import Workers
from podium.coordinator.domain.ports import PreparedDeployment, WorkspaceLibrary, WorkspacesUnavailableError
from podium.wire.errors import ErrorCode, PodiumError

_log = logging.getLogger(__name__)

T = TypeVar("T")

BARRIER_SECONDS: Final = 30.0
"""How long recording what was written may take."""

RESTORE_SECONDS: Final = 600.0
"""How long a restore may take: it writes what differs, which can be a whole tree."""

MAKE_SECONDS: Final = 300.0
"""How long making a workspace may take: its template, or what was there before, is copied, read and recorded."""

FORK_SECONDS: Final = 60.0
"""How long a fork may take: some links, whatever the size, behind what is being recorded."""

ERASE_SECONDS: Final = 600.0
"""How long erasing may take: every file is removed."""

START_SECONDS: Final = 120.0
"""How long each step of the start may take: cleaning up, finding what was moved."""

STOP_SECONDS: Final = 10.0
"""How long each step of the end may take that is no daemon's."""

LINGER_SECONDS: Final = 30.0
"""How long a workspace stays mounted when its agent sleeps: one that is woken soon finds it there, one that is not costs nothing."""


UPLOAD_SECONDS: Final = 60.0
"""How long what happened may take to be in the history, and its contents in the remote tier."""


class VersionedSettings(NamedTuple):
    """`backend`: what is asked for. `pooled`: contents are stored once for a tenant. `in_namespaces`: agents see mounts
    only through mount namespaces of their own. `linger` in seconds. `keep_awake` as of `chronicle.daemon.client.Daemon.mount`,
    `spare` as of `chronicle.daemon.client.DaemonProcess.start`. `collect_every`: how often contents that nobody needs are given up,
    in seconds, 0 for never. `history_bytes`: how much of the past of a workspace stays readable, None for all of it."""

    backend: Wanted = "auto"
    pooled: bool = True
    in_namespaces: bool = False
    linger: float = LINGER_SECONDS
    keep_awake: Awake = "auto"
    spare: bool = False
    collect_every: float = 0.0
    history_bytes: int | None = None


class Whose(NamedTuple):
    """What is known of an agent elsewhere: its tenant, and the user its files belong to (None: the coordinator's)."""

    tenant_of: Callable[[str], str | None]
    owner_of: Callable[[str], Owner | None]


class VersionedWorkspaces:
    """A `Workspaces` with history. Its methods are called on the event loop, `library` in threads."""

    def __init__(self, data: Path, settings: VersionedSettings, whose: Whose) -> None:
        self._places = Places(data)
        self._settings = settings
        self._whose = whose
        self._stores = Stores(
            self._places, whose.tenant_of, pooled=settings.pooled, history_bytes=settings.history_bytes
        )
        self._shelf = Shelf()
        self._workers = Workers()
        self._tasks = TaskOwner("workspaces")
        self._known: dict[str, Presence] = {}
        self._found: Found | None = None
        self._shared = False
        self._mounts = Mounts(
            self._places,
            self._workers,
            self._tasks,
            lambda: self._found.backend if self._found else settings.backend,
            settings.keep_awake,
        )
        self._supervision = Supervision(
            self._places.daemon,
            lambda: str(self._places.agents) if self._shared else "",
            lambda: self._mounts.come_back(self._known.values()),
            spare=settings.spare,
        )

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def backend(self) -> str:
        """`fuse` or `watch`, as it was found at start."""
        return self._found.backend if self._found is not None else self._settings.backend

    @property
    def is_versioned(self) -> bool:
        """It is."""
        return True

    def exists(self, agent_id: str) -> bool:
        """Whether the agent has a workspace."""
        return self._stores.exists(agent_id)

    def head_iteration(self, agent_id: str) -> int:
        """Newest iteration: heard of while it is mounted, else read (well below a millisecond once its library is open)."""
        presence = self._presence(agent_id)
        if presence.mounted and presence.head is not None:
            return presence.head
        if not self.exists(agent_id):
            return 0
        try:
            with self._shelf.borrow(agent_id, self._places.store(agent_id)) as library:
                return library.head
        except ChronicleError as error:
            _log.warning("head_unknown", extra={"agent_id": agent_id, "error": str(error)})
            return presence.head or 0

    # ── start and end ───────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Cleans up, starts the supervisor, and finds out what the host can do. When that fails nothing is left.

        Raises:
            WorkspacesUnavailableError: not what is asked for.
        """
        try:
            await self._start()
        except WorkspacesUnavailableError:
            await self.stop()
            raise
        except (ChronicleError, PodiumError, OSError) as error:
            await self.stop()
            raise WorkspacesUnavailableError(_refusal(str(error))) from error

    async def _start(self) -> None:
        self._places.agents.mkdir(mode=0o711, parents=True, exist_ok=True)
        left = await self._workers.run("", lambda: mounting.clean(self._places.data), seconds=START_SECONDS)
        if left:
            _log.info("mounts_cleaned_up", extra={"count": len(left)})
        if moved := await self._workers.run("", self._stores.moved_in, seconds=START_SECONDS):
            _log.info("workspaces_moved", extra={"count": moved})
        why = self._why_not_fuse()
        if why is not None and self._settings.backend == "fuse":
            raise WorkspacesUnavailableError(_refusal(why))
        await self._supervision.start()
        self._found = await self._mounts.try_out("watch" if why else self._settings.backend)
        why = why or self._found.why
        if self._settings.collect_every:
            self._tasks.start(collecting(self._places.data, self._settings.collect_every), "collect contents")
        _log.info("workspaces", extra={"backend": self._found.backend, **({"reason": why} if why else {})})

    def _why_not_fuse(self) -> str | None:
        """Why mounts of ours would be of no use to agents; sees to it that they are, where that can be done."""
        if self._settings.backend == "watch" or not self._settings.in_namespaces:
            return None
        if os.geteuid() != 0:
            if mounting.is_shared(self._places.agents):
                return None
            return "agents run in mount namespaces, where mounts of an ordinary user's coordinator don't appear"
        try:
            self._shared = mounting.share(self._places.agents)
        except OSError as error:
            return f"mounts can't be shared with agents: {error.strerror or error}"
        return None

    async def stop(self) -> None:
        """Unmounts everything, by force where it must be. Bounded, whatever hangs. Idempotent."""
        for presence in self._known.values():
            _unlinger(presence)
            presence.mounted = False
            presence.unlink()
        await self._supervision.stop()
        await self._tasks.close()
        self._mounts.close()
        await self._workers.close()
        left = await self._leave()
        if left:
            _log.warning("mounts_taken_away", extra={"count": len(left)})
        if self._shared:
            mounting.detach(str(self._places.agents))
            self._shared = False

    async def _leave(self) -> list[str]:
        """Closes the libraries and takes away what is mounted still; in a thread that no call of a workspace holds up."""
        last = Workers(threads=1)
        left: list[str] = []
        for step in (self._shelf.close, lambda: left.extend(mounting.clean(self._places.agents))):
            try:
                await last.run("", step, seconds=STOP_SECONDS)
            except (PodiumError, ChronicleError, OSError) as error:
                _log.error("workspaces_not_closed", extra={"error": str(error)})
        await last.close()
        return left

    # ── opening, closing ────────────────────────────────────────────────────────────────────────────────────

    def place(self, agent_id: str) -> Path:
        """See the port."""
        return self._places.mountpoint(agent_id)

    async def open(self, agent_id: str, deployment: PreparedDeployment, *, owner: Owner | None) -> Path:
        """See the port."""
        presence = self._presence(agent_id)
        async with presence.lock:
            _unlinger(presence)
            if not presence.mounted:
                given = owner or self._whose.owner_of(agent_id)
                with problems():
                    await self._alone(agent_id, lambda: self._stores.ensure(agent_id, deployment, given), MAKE_SECONDS)
            if not self._mounts.has(presence):  # or only by a daemon that has died
                await self._mounts.mount(presence)
        return self._places.mountpoint(agent_id)

    async def close(self, agent_id: str) -> None:
        """It is unmounted a little later, unless it is opened again."""
        presence = self._known.get(agent_id)
        if presence is None or not presence.mounted or presence.lingering is not None:
            return
        loop = asyncio.get_running_loop()
        presence.lingering = loop.call_later(self._settings.linger, self._close_now, presence)

    def _close_now(self, presence: Presence) -> None:
        self._tasks.start(self._unmount_idle(presence), f"unmount the workspace of {presence.agent_id}")

    async def _unmount_idle(self, presence: Presence) -> None:
        async with presence.lock:
            if presence.lingering is not None:  # nobody opened it meanwhile
                await self._unmount(presence)

    async def _unmount(self, presence: Presence) -> None:
        _unlinger(presence)
        if presence.mounted:
            await self._mounts.unmount(presence)

    async def remove(self, agent_id: str) -> None:
        """Unmounts and erases it."""
        presence = self._presence(agent_id)
        async with presence.lock:
            await self._unmount(presence)
            with problems():
                await self._alone(agent_id, lambda: self._erase(agent_id), ERASE_SECONDS)
            presence.head = None
        if self._known.get(agent_id) is presence and not presence.followers:
            del self._known[agent_id]

    def _erase(self, agent_id: str) -> None:
        with self._shelf.barred(agent_id):
            self._stores.erase(agent_id)

    # ── other hosts ─────────────────────────────────────────────────────────────────────────────────────────

    def history_file(self, agent_id: str) -> Path | None:
        """See the port."""
        return self._stores.history_file(agent_id)

    def settings_of(self, agent_id: str) -> bytes | None:
        """See the port."""
        return self._stores.settings_of(agent_id)

    async def uploaded(self, agent_id: str) -> None:
        """See the port."""
        presence = self._presence(agent_id)
        with problems():
            if presence.mounted:
                await presence.ask(_uploaded, int, UPLOAD_SECONDS)
            else:
                await self._workers.run(
                    agent_id, lambda: self._stores.upload(agent_id, UPLOAD_SECONDS), seconds=UPLOAD_SECONDS
                )

    async def detach(self, agent_id: str) -> None:
        """See the port."""
        presence = self._known.get(agent_id)
        if presence is None:
            return
        async with presence.lock:
            try:
                await self._unmount(presence)
                await self._workers.run(agent_id, lambda: self._shelf.drop(agent_id), seconds=STOP_SECONDS)
            except (PodiumError, ChronicleError, OSError) as error:
                _log.warning("workspace_not_detached", extra={"agent_id": agent_id, "error": str(error)})
            presence.head = None

    async def adopt(self, agent_id: str, past: Path, settings: bytes) -> int:
        """See the port."""
        presence = self._presence(agent_id)
        owner = self._whose.owner_of(agent_id)
        async with presence.lock:
            with problems():
                at = await self._alone(
                    agent_id, lambda: self._stores.adopt(agent_id, past, settings, owner), MAKE_SECONDS
                )
            presence.head = None
            return at

    # ── moments ─────────────────────────────────────────────────────────────────────────────────────────────

    async def barrier(self, agent_id: str) -> int:
        """See the port."""
        presence = self._presence(agent_id)
        if not presence.mounted:
            return await self._here(agent_id, lambda library: library.head, BARRIER_SECONDS)
        with problems():
            return await presence.hear(await presence.ask(Barrier, int, BARRIER_SECONDS))

    def quiet(self, agent_id: str) -> int | None:
        """See the port."""
        presence = self._known.get(agent_id)
        return presence.quiet() if presence is not None and presence.mounted else None

    def begin_turn(self, agent_id: str, turn_id: str | None) -> bool:
        """See the port."""
        presence = self._known.get(agent_id)
        return presence is not None and presence.mounted and presence.begin_turn(turn_id)

    async def annotate(self, agent_id: str, turn_id: str | None) -> None:
        """See the port."""
        presence = self._presence(agent_id)
        if presence.mounted:
            with problems():
                await presence.annotate(turn_id)

    async def checkpoint(self, agent_id: str, label: str | None, turn_id: str | None) -> int:
        """See the port."""
        presence = self._presence(agent_id)
        if not presence.mounted:
            made = await self._here(agent_id, lambda library: library.checkpoint(label, turn_id), BARRIER_SECONDS)
            return made.iteration
        with problems():
            made = await presence.ask(
                lambda number: MakeCheckpoint(number, label, turn_id), Checkpoint, BARRIER_SECONDS
            )
            return await presence.hear(made.iteration)

    async def restore(self, agent_id: str, iteration: int, path: str | None, turn_id: str | None) -> int:
        """See the port."""
        presence = self._presence(agent_id)
        if not presence.mounted:

            def offline(library: Workspace) -> int:
                library.annotate(turn_id)
                try:
                    return library.restore(iteration, path or b"").head
                finally:
                    library.annotate(None)

            return await self._here(agent_id, offline, RESTORE_SECONDS)
        raw = os.fsencode(path or "")
        with problems():
            await self._check_moment(agent_id, iteration)
            before = presence.turn_id
            await presence.annotate(turn_id)
            told = presence.told
            try:
                done = await presence.ask(lambda number: Restore(number, iteration, raw), Restored, RESTORE_SECONDS)
            finally:
                if presence.told == told:  # else another turn has begun or ended meanwhile, and that counts
                    await presence.annotate(before)
            return await presence.hear(done.head)

    async def _check_moment(self, agent_id: str, iteration: int | None) -> None:
        await self._workers.run(
            agent_id, lambda: self._stores.check_moment(agent_id, iteration), seconds=BARRIER_SECONDS
        )

    async def fork(self, source_agent_id: str, iteration: int | None, agent_id: str) -> None:
        """See the port."""
        presence = self._presence(agent_id)
        async with presence.lock:
            if self.exists(agent_id):
                raise PodiumError(ErrorCode.AGENT_IN_USE, "the agent has a workspace already")
            if not self.exists(source_agent_id):
                return
            owner = self._whose.owner_of(agent_id)
            with problems():
                await self._check_moment(source_agent_id, iteration)
                await self._alone(
                    agent_id, lambda: self._stores.fork(source_agent_id, iteration, agent_id, owner), FORK_SECONDS
                )
            presence.head = None

    def follow(self, agent_id: str, callback: Callable[[list[Iteration]], None]) -> Callable[[], None]:
        """See the port."""
        followers = self._presence(agent_id).followers

        # A wrapper of its own for each following: the same callback may follow twice.
        def follower(iterations: list[Iteration]) -> None:
            callback(iterations)

        followers.add(follower)
        return lambda: followers.discard(follower)

    @contextlib.contextmanager
    def library(self, agent_id: str) -> Iterator[WorkspaceLibrary]:
        """See the port."""
        with self._shelf.borrow(agent_id, self._places.store(agent_id)) as library:
            yield library

    async def work(self, agent_id: str, what: Callable[[WorkspaceLibrary], T], *, seconds: float) -> T:
        """See the port."""

        def run() -> T:
            with self.library(agent_id) as library:
                return what(library)

        return await self._workers.run(agent_id, run, seconds=seconds)

    def pieces(
        self, agent_id: str, what: Callable[[WorkspaceLibrary], Iterator[bytes]], *, seconds: float
    ) -> AsyncIterator[bytes]:
        """See the port."""
        return self._workers.pieces(agent_id, self.library(agent_id), what, seconds=seconds)

    # ── small parts ─────────────────────────────────────────────────────────────────────────────────────────

    def _presence(self, agent_id: str) -> Presence:
        presence = self._known.get(agent_id)
        if presence is None:
            presence = self._known[agent_id] = Presence(agent_id, self._places.store(agent_id), self._tasks)
        return presence

    async def _alone(self, agent_id: str, what: Callable[[], T], seconds: float) -> T:
        """Something no other of its kind is done beside to the same workspace, not even one that was given up waiting for."""
        return await self._workers.run(agent_id, what, seconds=seconds, alone=True)

    async def _here(self, agent_id: str, what: Callable[[Workspace], T], seconds: float) -> T:
        """Asks the library, in a thread, while nobody serves the workspace."""

        def run() -> T:
            with self._shelf.borrow(agent_id, self._places.store(agent_id)) as library:
                return what(library)

        with problems():
            return await self._workers.run(agent_id, run, seconds=seconds)


def _unlinger(presence: Presence) -> None:
    if presence.lingering is not None:
        presence.lingering.cancel()
        presence.lingering = None


def _uploaded(number: int) -> Barrier:
    return Barrier(number, UPLOAD_SECONDS, remote=True)


def _refusal(why: str) -> str:
    return (
        f"CHRONICLE_BACKEND asks for what this host can't do: {why}. Set CHRONICLE_BACKEND=auto, or give the host FUSE "
        "(--device /dev/fuse --cap-add SYS_ADMIN); `podium doctor` says more"
    )
