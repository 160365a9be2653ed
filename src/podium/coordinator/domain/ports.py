"""What the coordinator needs of the outside: processes, workspaces, local deployments. Stores are in `adapters/store`."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec

from podium.wire.manifest import Limits, Manifest
from podium.wire.rest import Deployment, Resources

Isolation = Literal["none", "process", "sandbox"]
"""Levels of isolation; `sandbox` has its seam here and comes with the operations part."""


class PreparedDeployment(msgspec.Struct, frozen=True):
    """A deployment that lies unpacked on this host with its environment made.

    `directory` is the unpacked bundle (read-only by agreement), `python` the interpreter to start agents with.
    """

    deployment: Deployment
    manifest: Manifest
    directory: Path
    python: Path


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
    """How a process ended: an exit code, or the name of the signal that ended it (`SIGKILL`)."""

    code: int | None
    signal: str | None


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

    async def start(self, spec: ProcessSpec, handler: LinkHandler) -> AgentProcess:
        """Starts and links a process. Bounded.

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


class Workspaces(Protocol):
    """Directories agents work in. A plain directory until the versioned filesystem lands; the port stays."""

    @property
    def backend(self) -> str:
        """What keeps the workspaces: `directory`."""
        ...

    async def open(
        self,
        agent_id: str,
        deployment: PreparedDeployment,
        *,
        owner: tuple[int, int] | None,
    ) -> Path:
        """The agent's workspace, made (and filled from the template) when it is new, owned by `owner` (uid, gid)."""
        ...

    async def close(self, agent_id: str) -> None:
        """The agent sleeps or stops: nothing uses the directory now."""
        ...

    def head_iteration(self, agent_id: str) -> int:
        """Newest iteration; 0 where there is no history."""
        ...

    async def remove(self, agent_id: str) -> None:
        """Erases the workspace."""
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
