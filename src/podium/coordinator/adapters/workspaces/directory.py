"""Workspaces as plain directories: `agents/{agent_id}/workspace`, without history."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from chronicle import remove_tree
from chronicle.model.errors import WorkspaceNotFoundError
from chronicle.model.iterations import Iteration
from podium.coordinator.adapters.workspaces.plain import PlainLibrary
from podium.coordinator.adapters.workspaces.templates import copy_template, give, template_of
from podium.coordinator.adapters.workspaces.workers import Workers
from podium.coordinator.domain.ports import PreparedDeployment, WorkspaceLibrary
from podium.wire.errors import ErrorCode, PodiumError

WORKSPACE_NAME: Final = "workspace"
"""The workspace's directory inside the agent's."""

COPY_SECONDS: Final = 600.0
"""How long copying, giving or removing all files of a workspace may take."""

_MODE: Final = 0o700

T = TypeVar("T")


class DirectoryWorkspaces:
    """A `Workspaces` below `agents`, the directory that holds one directory for each agent."""

    def __init__(self, agents: Path) -> None:
        self._agents = agents
        self._workers = Workers()

    @property
    def backend(self) -> str:
        """`directory`."""
        return "directory"

    @property
    def is_versioned(self) -> bool:
        """There is no history."""
        return False

    async def start(self) -> None:
        """There is nothing to get ready."""

    async def stop(self) -> None:
        """Waits for what is being done, a bounded time."""
        await self._workers.close()

    def place(self, agent_id: str) -> Path:
        """See the port."""
        return self._path(agent_id)

    async def open(self, agent_id: str, deployment: PreparedDeployment, *, owner: tuple[int, int] | None) -> Path:
        """The workspace; a new one is filled beside its place and then renamed, so that it is there whole or not at all."""
        path = self._path(agent_id)
        if not path.is_dir():
            template = template_of(deployment)
            await self._alone(agent_id, lambda: _make(path, template, owner))
        elif owner is not None and path.stat().st_uid != owner[0]:
            given = owner
            await self._alone(agent_id, lambda: give(path, given))  # a fork's files, which nobody could use until now
        return path

    async def close(self, agent_id: str) -> None:
        """Nothing is held."""

    def head_iteration(self, agent_id: str) -> int:  # noqa: ARG002 - the port has it
        """There is no history."""
        return 0

    async def barrier(self, agent_id: str) -> int:  # noqa: ARG002 - the port has it
        """There is nothing to wait for."""
        return 0

    def quiet(self, agent_id: str) -> int | None:  # noqa: ARG002 - the port has it
        """Nothing is known of the files."""
        return None

    def begin_turn(self, agent_id: str, turn_id: str | None) -> bool:  # noqa: ARG002 - the port has it
        """There is nobody to tell."""
        return False

    async def annotate(self, agent_id: str, turn_id: str | None) -> None:
        """Nothing is recorded."""

    async def checkpoint(self, agent_id: str, label: str | None, turn_id: str | None) -> int:  # noqa: ARG002 - the port
        """Only 0 is a moment here, and it has no name.

        Raises:
            PodiumError: `invalid_request` for a label.
        """
        if label is not None:
            raise _no_history()
        return 0

    async def restore(
        self,
        agent_id: str,  # noqa: ARG002 - the port has them
        iteration: int,  # noqa: ARG002
        path: str | None,  # noqa: ARG002
        turn_id: str | None,  # noqa: ARG002
    ) -> int:
        """Raises `invalid_request`."""
        raise _no_history()

    async def fork(self, source_agent_id: str, iteration: int | None, agent_id: str) -> None:
        """Copies the files as they are; another moment is not known.

        Raises:
            PodiumError: `invalid_request` for a moment, `agent_in_use` when the agent has a workspace.
        """
        if iteration:
            raise _no_history()
        source, target = self._path(source_agent_id), self._path(agent_id)
        if target.exists():
            raise PodiumError(ErrorCode.AGENT_IN_USE, "the agent has a workspace already")
        if source.is_dir():
            await self._alone(agent_id, lambda: _make(target, source, None))

    def follow(self, agent_id: str, callback: Callable[[list[Iteration]], None]) -> Callable[[], None]:  # noqa: ARG002
        """Nothing is ever told."""
        return _nothing

    @contextlib.contextmanager
    def library(self, agent_id: str) -> Iterator[WorkspaceLibrary]:
        """The files as they are now."""
        path = self._path(agent_id)
        if not path.is_dir():
            raise WorkspaceNotFoundError(agent_id)
        yield PlainLibrary(path)

    def exists(self, agent_id: str) -> bool:
        """Whether there is a directory."""
        return self._path(agent_id).is_dir()

    def history_file(self, agent_id: str) -> Path | None:  # noqa: ARG002 - the port has it
        """There is no history."""
        return None

    def settings_of(self, agent_id: str) -> bytes | None:  # noqa: ARG002 - the port has it
        """There is no history."""
        return None

    async def uploaded(self, agent_id: str) -> None:
        """There is no other tier."""

    async def detach(self, agent_id: str) -> None:
        """Nothing is mounted."""

    async def adopt(self, agent_id: str, past: Path, settings: bytes) -> int:  # noqa: ARG002 - the port has it
        """What another host kept with a history begins here as an empty directory: nothing reads histories."""
        raise PodiumError(
            ErrorCode.WORKSPACE_UNAVAILABLE,
            "the agent's workspace has a history, and this host keeps none (CHRONICLE_ENABLE)",
        )

    async def remove(self, agent_id: str) -> None:
        """Erases the workspace; removing none is fine."""
        path = self._path(agent_id)
        await self._alone(agent_id, lambda: _remove(path))

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

    async def _alone(self, agent_id: str, what: Callable[[], None]) -> None:
        """Makes, gives or removes the files of one agent, one such thing after the other."""
        await self._workers.run(agent_id, what, seconds=COPY_SECONDS, alone=True)

    def _path(self, agent_id: str) -> Path:
        return self._agents / agent_id / WORKSPACE_NAME


def _no_history() -> PodiumError:
    return PodiumError(
        ErrorCode.INVALID_REQUEST, "this host keeps no history of workspaces: CHRONICLE_ENABLE is false there"
    )


def _nothing() -> None:
    pass


def _make(path: Path, template: Path | None, owner: tuple[int, int] | None) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{WORKSPACE_NAME}-*"):
        remove_tree(leftover, ignore_errors=True)
    making = path.parent / f".{WORKSPACE_NAME}-{secrets.token_hex(4)}"
    copy_template(template, making, mode=_MODE)
    if owner is not None:
        give(making, owner)
    making.rename(path)


def _remove(path: Path) -> None:
    going = path.parent / f".{WORKSPACE_NAME}-{secrets.token_hex(4)}"
    try:
        path.rename(going)
    except FileNotFoundError:
        return
    remove_tree(going)
