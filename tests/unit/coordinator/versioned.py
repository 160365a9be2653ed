"""The twin of versioned workspaces: every version of every file in memory, changes made by calling `write`."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronicle.model.iterations import Checkpoint, Iteration, Kind
from podium.coordinator.domain.ports import PreparedDeployment
from podium.wire.errors import ErrorCode, PodiumError


class Workspace:
    """One agent's files at every moment. `moments[n]` is the tree after iteration n."""

    def __init__(self, iterations: list[Iteration], moments: list[dict[bytes, bytes]]) -> None:
        self.iterations = iterations
        self.moments = moments
        self.checkpoints: list[Checkpoint] = []
        self.turn_id: str | None = None
        self.unheard: list[Iteration] = []

    @property
    def head(self) -> int:
        return len(self.iterations)

    @property
    def files(self) -> dict[bytes, bytes]:
        return self.moments[-1]

    def change(self, kind: Kind, path: bytes, content: bytes | None, from_: bytes | None = None) -> None:
        size = None if content is None else len(content)
        iteration = Iteration(self.head + 1, path, kind, 0, size, from_=from_, turn_id=self.turn_id)
        files = {name: data for name, data in self.files.items() if name not in (path, from_)}
        self.iterations.append(iteration)
        self.moments.append(files if content is None else {**files, path: content})
        self.unheard.append(iteration)

    def log(self, *, limit: int, newest_first: bool) -> list[Iteration]:
        return self.iterations[::-1][:limit]

    def history(self, path: str, *, limit: int) -> list[Iteration]:
        return [found for found in self.iterations[::-1] if found.path == path.encode()][:limit]

    def checkpoints_of(self, *, limit: int) -> list[Checkpoint]:
        return self.checkpoints[::-1][:limit]


class _Library:
    def __init__(self, workspace: Workspace) -> None:
        self.log, self.history = workspace.log, workspace.history
        self.checkpoints = workspace.checkpoints_of


class VersionedWorkspaces:
    """A `Workspaces` in memory. `delay` is how long a barrier takes; `refuses` makes a restore fail."""

    backend = "fuse"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.of: dict[str, Workspace] = {}
        self.notes: list[tuple[str, str | None]] = []
        self.followers: dict[str, Callable[[list[Iteration]], None]] = {}
        self.opened: set[str] = set()
        self.delay = 0.0
        self.refuses: str | None = None
        self.has_pages = False
        self.asked = 0

    def write(self, agent_id: str, path: str, content: bytes | None) -> None:
        """A file is written, or (None) removed."""
        workspace = self.of[agent_id]
        name = path.encode()
        kind: Kind = "delete" if content is None else "modify" if name in workspace.files else "create"
        workspace.change(kind, name, content)
        asyncio.get_running_loop().call_soon(self._push, agent_id)

    def _push(self, agent_id: str) -> None:
        workspace, follower = self.of.get(agent_id), self.followers.get(agent_id)
        if workspace is not None and workspace.unheard and follower is not None:
            heard, workspace.unheard = workspace.unheard, []
            follower(heard)

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def place(self, agent_id: str) -> Path:
        return self._directory / agent_id / "workspace"

    async def open(self, agent_id: str, deployment: PreparedDeployment, *, owner: tuple[int, int] | None) -> Path:
        self.of.setdefault(agent_id, Workspace([], [{}]))
        self.opened.add(agent_id)
        return self.place(agent_id)

    async def close(self, agent_id: str) -> None:
        self.opened.discard(agent_id)

    def head_iteration(self, agent_id: str) -> int:
        return self.of[agent_id].head if agent_id in self.of else 0

    async def barrier(self, agent_id: str) -> int:
        self.asked += 1
        await asyncio.sleep(self.delay)
        self._push(agent_id)
        return self.head_iteration(agent_id)

    def quiet(self, agent_id: str) -> int | None:
        known = self.has_pages and not self.of[agent_id].unheard
        return self.head_iteration(agent_id) if known else None

    def begin_turn(self, agent_id: str, turn_id: str | None) -> bool:
        if self.has_pages:
            self._belong(agent_id, turn_id)
        return self.has_pages

    async def annotate(self, agent_id: str, turn_id: str | None) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        self._belong(agent_id, turn_id)

    def _belong(self, agent_id: str, turn_id: str | None) -> None:
        self.notes.append((agent_id, turn_id))
        if agent_id in self.of:
            self.of[agent_id].turn_id = turn_id

    async def checkpoint(self, agent_id: str, label: str | None, turn_id: str | None) -> int:
        workspace = self.of[agent_id]
        workspace.checkpoints.append(Checkpoint(workspace.head, 0, label, turn_id))
        return workspace.head

    async def restore(self, agent_id: str, iteration: int, path: str | None, turn_id: str | None) -> int:
        if self.refuses is not None:
            raise PodiumError(ErrorCode.ITERATION_NOT_FOUND, self.refuses)
        workspace = self.of[agent_id]
        if iteration > workspace.head:
            raise PodiumError(ErrorCode.ITERATION_NOT_FOUND, f"there is no iteration {iteration}")
        wanted = workspace.moments[iteration]
        for name in sorted({*wanted, *workspace.files}):
            if workspace.files.get(name) != wanted.get(name) and path in (None, name.decode()):
                self.write(agent_id, name.decode(), wanted.get(name))
        return workspace.head

    async def fork(self, source_agent_id: str, iteration: int | None, agent_id: str) -> None:
        source = self.of.get(source_agent_id)
        if source is None or (iteration or 0) > source.head:
            raise PodiumError(ErrorCode.ITERATION_NOT_FOUND, "there is no such iteration")
        at = source.head if iteration is None else iteration
        self.of[agent_id] = Workspace(source.iterations[:at], source.moments[: at + 1])

    def follow(self, agent_id: str, callback: Callable[[list[Iteration]], None]) -> Callable[[], None]:
        self.followers[agent_id] = callback
        return lambda: self.followers.pop(agent_id, None) and None

    @contextmanager
    def library(self, agent_id: str) -> Iterator[Any]:
        yield _Library(self.of[agent_id])

    async def work(self, agent_id: str, what: Callable[[Any], Any], *, seconds: float) -> Any:
        await asyncio.sleep(0)
        return what(_Library(self.of[agent_id]))

    async def pieces(self, agent_id: str, what: Callable[[Any], Iterator[bytes]], *, seconds: float) -> Any:
        for piece in what(_Library(self.of[agent_id])):
            yield piece

    def exists(self, agent_id: str) -> bool:
        return agent_id in self.of

    async def remove(self, agent_id: str) -> None:
        self.of.pop(agent_id, None)
