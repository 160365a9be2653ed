"""What the coordinator needs of the outside: processes, workspaces, local deployments. Stores are in `adapters/store`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar

import msgspec

from chronicle.model.iterations import Checkpoint, Difference, Entry, Iteration, Version
from podium.wire.events import OutOfMemory
from podium.wire.manifest import Limits, Manifest
from podium.wire.rest import Deployment, Resources

T = TypeVar("T")

Isolation = Literal["none", "process", "sandbox"]
"""Levels of isolation; `sandbox` has its seam here and comes with the operations part."""


class PreparedDeployment(msgspec.Struct, frozen=True):
    """A deployment that lies unpacked on this host with its environment made.

    `directory` is the unpacked bundle (read-only by agreement), `interpreter` the Python or Bun to start agents with.
    """

    deployment: Deployment
    manifest: Manifest
    directory: Path
    interpreter: Path


class ProcessSpec(msgspec.Struct, frozen=True):
    """One process to start. `agent_directory` is `agents/{agent_id}`: it holds `run/` for the socket and `home/`, `tmp/`.

    `environment` is everything the author's code sees beside what the host must add (HOME, TMPDIR, PODIUM_*).
    `uid_slot` is a small number, stable for the agent, from which the host derives the uid when it runs as root.
    """

    instance_id: str
    agent_id: str
    tenant_id: str
    deployment: PreparedDeployment
    agent_directory: Path
    workspace: Path
    environment: dict[str, str]
    limits: Limits
    uid_slot: int


class ExitStatus(NamedTuple):
    """How a process ended: an exit code, or the name of the signal that ended it (`SIGKILL`); and whether something of its tree was
    killed for the limit of memory, where that is known."""

    code: int | None
    signal: str | None
    out_of_memory: OutOfMemory | None = None


class LinkHandler(Protocol):
    """Receives what an agent's process says. All calls come on the event loop, in order."""

    def link_received(self, data: bytes) -> None:
        """Bytes of the agent link (see `podium.wire.link`)."""
        ...

    def output_received(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """What the process printed (at most 64 KiB a call)."""
        ...

    def process_ended(self, status: ExitStatus) -> None:
        """The process and its whole tree are gone, and everything it said has been delivered. Last call."""
        ...


class AgentProcess(Protocol):
    """A started process, linked."""

    @property
    def pid(self) -> int:
        """Pid as this host sees it."""
        ...

    def send(self, data: bytes) -> None:
        """Writes to the agent link, buffered without bound here; the caller limits what it sends."""
        ...

    def pause_reading(self) -> None:
        """Stops reading the link, so that the agent feels back-pressure."""
        ...

    def resume_reading(self) -> None:
        """Reads the link again."""
        ...

    def terminate(self) -> None:
        """Asks the process to end (SIGTERM)."""
        ...

    async def kill(self) -> None:
        """Ends the whole tree; when it returns nothing of it is left and `process_ended` was called. Idempotent."""
        ...

    def resources(self) -> Resources:
        """What the tree uses now; zeros when it is gone."""
        ...


class ProcessStartError(Exception):
    """The process could not be started or linked; `reason` is for the author, without paths of the host."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class WorkspacesUnavailableError(Exception):
    """Workspaces can't be kept the way they are asked for; the message says why, and what could be done instead."""


class ProcessHost(Protocol):
    """Starts processes: from a warm template where it has one, else plainly, with the same result."""

    @property
    def isolation(self) -> Isolation:
        """The level in force, chosen at construction; asking for one the host can't give fails there."""
        ...

    async def open(self) -> None:
        """Ends orphans an earlier coordinator of this data directory left behind, before anything is started."""
        ...

    async def warm(self, deployment: PreparedDeployment) -> None:
        """Starts the template of a deployment that preloads, if it is not there; failures show up at `start`."""
        ...

    async def start(
        self, spec: ProcessSpec, handler: LinkHandler, opened: Awaitable[object] | None = None
    ) -> AgentProcess:
        """Starts and links a process. Bounded, but for the wait for its workspace.

        Nothing of the author's runs in it, and nobody looks into the workspace, before `opened` is done (None: it is there). What can be
        done without is done meanwhile. What `opened` raises is raised here.

        Raises:
            ProcessStartError: the interpreter, the author's module or the host refused.
        """
        ...

    async def cool(self, deployment_id: str) -> None:
        """Ends the template of a deployment; instances forked from it keep running only if the host can let them."""
        ...

    async def close(self) -> None:
        """Ends everything this host started and waits for it, bounded."""
        ...


class WorkspaceLibrary(Protocol):
    """One workspace as a library, alive, asleep or stopped. Every method blocks: call it in a thread.

    Method for method this is `chronicle.Workspace` (where each is described); paths are relative, answers have bytes, a
    moment is an iteration's number. A workspace without history (backend `directory`) is always at 0.

    Raises:
        ChronicleError: what `chronicle.model.errors` says; the boundary makes problems of them.
    """

    @property
    def head(self) -> int:
        """The newest iteration."""
        ...

    def log(
        self,
        path: str | bytes = b"",
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Iteration]:
        """Iterations at or below a path."""
        ...

    def history(self, path: str | bytes, *, before: int | None = None, limit: int = 100) -> list[Iteration]:
        """Iterations of one path, newest first, through renames."""
        ...

    def version(self, path: str | bytes, iteration: int | None = None) -> Version:
        """What was at a path."""
        ...

    def read(self, path: str | bytes, iteration: int | None = None) -> bytes:
        """A file, whole."""
        ...

    def pieces(self, path: str | bytes, iteration: int | None = None) -> Iterator[bytes]:
        """A file in pieces."""
        ...

    def entries(
        self, path: str | bytes = b"", at: int | None = None, *, after: str | bytes = b"", limit: int | None = None
    ) -> list[Entry]:
        """What a directory held, sorted by name."""
        ...

    def tree(self, at: int | None = None, path: str | bytes = b"") -> Iterator[Entry]:
        """Everything below a path, parents before children."""
        ...

    def compare(
        self, before: int, after: int | None = None, path: str | bytes = b"", *, behind: str | bytes | None = None
    ) -> Iterator[tuple[bytes, Difference | None]]:
        """Every path that is looked at to compare two moments, with how it differs (None: it does not), one at a time."""
        ...

    def diff_text(self, before: int, after: int | None = None, path: str | bytes = b"") -> Iterator[str]:
        """The same as unified diff, file by file."""
        ...

    def checkpoints(self, *, newest_first: bool = True, limit: int = 100) -> list[Checkpoint]:
        """Named moments."""
        ...

    def moment(self, name: int | str) -> int:
        """The moment a number, `head`, a label or a turn id means."""
        ...

    def barrier(self, timeout: float = 30.0) -> int:
        """Waits until all that happened before is in the history; returns head."""
        ...

    def put(
        self,
        path: str | bytes,
        data: bytes | None = None,
        *,
        source: Path | None = None,
        mode: int | None = None,
        if_hash: str | None = None,
    ) -> Iteration:
        """Writes a file; the iteration of its newest version."""
        ...

    def remove(self, path: str | bytes, *, if_hash: str | None = None) -> int:
        """Removes what is at a path; head after it."""
        ...


class Brokered(NamedTuple):
    """What an agent gets in the place of secrets it may use but not know. `environment` leads its HTTPS to the broker."""

    secrets: dict[str, str]
    environment: dict[str, str]


class CredentialBroker(Protocol):
    """Uses secrets on behalf of agents that never see them."""

    async def open(
        self, instance_id: str, agent_id: str, secrets: Mapping[str, str], declared: Mapping[str, Sequence[str]]
    ) -> Brokered:
        """What the agent gets: its `secrets`, a placeholder in the place of each that is `declared` for certain hosts alone. In force
        until `close`.

        Raises:
            PodiumError: `agent_start_failed`, a secret can't be part of a request.
        """
        ...

    def close(self, instance_id: str) -> None:
        """The process of an instance has ended: nothing is done on its behalf any more."""
        ...

    async def stop(self) -> None:
        """Ends everything."""
        ...


class Workspaces(Protocol):
    """Directories agents work in, with the history of everything that happened in them.

    Two kinds: versioned (backend `fuse` or `watch`), and plain directories without history (`directory`), for which every
    number is 0, a fork copies, and what needs history raises `invalid_request`. Methods of an agent that is not open work as
    well unless it says otherwise. Methods that wait raise `PodiumError`; the coordinator calls them on its event loop.
    """

    @property
    def backend(self) -> str:
        """What keeps the workspaces: `fuse`, `watch` or `directory`."""
        ...

    @property
    def is_versioned(self) -> bool:
        """Whether there is a history: all backends but `directory`."""
        ...

    async def start(self) -> None:
        """Gets ready, before anything else is called; cleans up what an earlier coordinator left mounted.

        Raises:
            WorkspacesUnavailableError: what was asked for can't be had on this host; the message says what could.
        """
        ...

    async def stop(self) -> None:
        """Unmounts everything, bounded. Nothing is left mounted, whatever state it was in."""
        ...

    def place(self, agent_id: str) -> Path:
        """Where the agent's workspace is while it is open. There need not be anything."""
        ...

    async def open(
        self,
        agent_id: str,
        deployment: PreparedDeployment,
        *,
        owner: tuple[int, int] | None,
    ) -> Path:
        """The agent's workspace, mounted and ready; made (and filled from the template) when it is new, owned by `owner`.

        Opening what is open is fast and fine.

        Raises:
            PodiumError: `workspace_unavailable`.
        """
        ...

    async def close(self, agent_id: str) -> None:
        """The agent sleeps or stops: everything is recorded, and the mount goes, at once or a little later. Idempotent."""
        ...

    def head_iteration(self, agent_id: str) -> int:
        """Newest iteration that is known here; 0 where there is no history. Never waits, never raises."""
        ...

    async def barrier(self, agent_id: str) -> int:
        """Waits until everything that happened before is in the history; returns the newest iteration.

        Everything up to it was given to the followers before this returns.

        Raises:
            PodiumError: `workspace_unavailable` when it takes too long or nobody serves the workspace.
        """
        ...

    def quiet(self, agent_id: str) -> int | None:
        """What `barrier` would answer, when that is known without asking: nothing happened that is not recorded, and followers
        were told of all. None: it is not known."""

    def begin_turn(self, agent_id: str, turn_id: str | None) -> bool:
        """Does what `annotate` does, when that takes no time; False: use `annotate`."""

    async def annotate(self, agent_id: str, turn_id: str | None) -> None:
        """What happens from now on belongs to this turn (None: to none). Returns when that is so; cheap.

        An agent that is not open: nothing.
        """
        ...

    async def checkpoint(self, agent_id: str, label: str | None, turn_id: str | None) -> int:
        """Names the moment after everything that happened before; returns it. Implies `barrier`."""
        ...

    async def restore(self, agent_id: str, iteration: int, path: str | None, turn_id: str | None) -> int:
        """Makes the tree (or what is at `path`) as it was at a moment; returns the newest iteration. Is recorded itself,
        under `turn_id`.

        Raises:
            PodiumError: `iteration_not_found`, `file_not_found`, `invalid_path`, `workspace_unavailable`.
        """
        ...

    async def fork(self, source_agent_id: str, iteration: int | None, agent_id: str) -> None:
        """Makes the workspace of `agent_id`, which has none, as that of another was at a moment (None: now).

        Whole or not at all; a fork that was cut off by a crash is not there, or can be removed with `remove`.

        Raises:
            PodiumError: `iteration_not_found`, `agent_in_use` (it has a workspace), `workspace_unavailable`.
        """
        ...

    def follow(self, agent_id: str, callback: Callable[[list[Iteration]], None]) -> Callable[[], None]:
        """Has `callback` called on the event loop with iterations as they are recorded, in order, each once, from the next
        one on, over closing and opening again; while the agent is not open nothing is told, and what was written meanwhile
        is told when it is opened. Returns what ends the following.
        """
        ...

    def library(self, agent_id: str) -> AbstractContextManager[WorkspaceLibrary]:
        """The workspace as a library, for use in a thread; valid inside the `with`. Entering blocks as well.

        Raises:
            ChronicleError: `WorkspaceNotFoundError` when the agent never had a workspace.
        """
        ...

    async def work(self, agent_id: str, what: Callable[[WorkspaceLibrary], T], *, seconds: float) -> T:
        """What `what` makes of the library, in one of a bounded number of threads, of which each workspace has a share.

        Once begun it is done to its end, whatever becomes of the caller.

        Raises:
            ChronicleError: as `library`, and what `what` raises.
            PodiumError: `workspace_unavailable`: not within `seconds`; what has begun may still be done.
        """
        ...

    def pieces(
        self, agent_id: str, what: Callable[[WorkspaceLibrary], Iterator[bytes]], *, seconds: float
    ) -> AsyncIterator[bytes]:
        """The same for what is made piece by piece, each within `seconds`; the library is held until the end, or until this
        is closed. Empty pieces are left out."""
        ...

    def exists(self, agent_id: str) -> bool:
        """Whether the agent has a workspace."""
        ...

    def history_file(self, agent_id: str) -> Path | None:
        """The database that its history is written to now, sealed ones beside it; None where there is no history."""
        ...

    def settings_of(self, agent_id: str) -> bytes | None:
        """What another host needs besides the history to go on with the workspace; None where there is no history."""
        ...

    async def uploaded(self, agent_id: str) -> None:
        """Waits until everything that happened before is in the history, and its contents in the remote tier, where there is one.

        Raises:
            PodiumError: `workspace_unavailable`.
        """
        ...

    async def detach(self, agent_id: str) -> None:
        """Unmounts the workspace now, which nobody uses any more, instead of a little later. Never raises."""
        ...

    async def adopt(self, agent_id: str, past: Path, settings: bytes) -> int:
        """Makes the workspace of an agent that has none here from a history in `past/history`; the iteration it goes on from.
        Contents come when they are wanted. `past` lies in the agent's directory.

        Raises:
            PodiumError: `workspace_unavailable`.
        """
        ...

    async def remove(self, agent_id: str) -> None:
        """Closes and erases the workspace with its history; removing none is fine."""
        ...


class Deployments(Protocol):
    """Deployments on this host: looked up, fetched on demand, verified, unpacked, prepared once."""

    async def ensure(self, deployment: Deployment, progress: Callable[[str], None] | None = None) -> PreparedDeployment:
        """The deployment, ready to start. Many callers for one missing deployment cause one download.

        Raises:
            PodiumError: `deployment_not_found`, `checksum_mismatch`, `invalid_bundle`, `agent_start_failed` (its
                environment could not be made; last lines of the tool in `logs`), `registry_unavailable`.
        """
        ...

    async def close(self) -> None:
        """Stops what is under way; nothing half made stays behind."""
        ...
