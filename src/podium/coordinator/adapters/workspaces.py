"""Workspaces as plain directories: no history, same port. The versioned filesystem takes their place later."""

import asyncio
import os
import shutil
import uuid
from pathlib import Path

from podium.coordinator.domain.ports import PreparedDeployment


class DirectoryWorkspaces:
    """A `Workspaces` with one directory per agent, `{root}/{agent_id}/workspace`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def backend(self) -> str:
        """See `Workspaces`."""
        return "directory"

    async def open(self, agent_id: str, deployment: PreparedDeployment, *, owner: tuple[int, int] | None) -> Path:
        """See `Workspaces`. The template is copied beside it and renamed, so that a crash leaves no half workspace."""
        directory = self._path(agent_id)
        if not directory.is_dir():
            await asyncio.to_thread(_make, directory, deployment, owner)
        return directory

    async def close(self, agent_id: str) -> None:
        """See `Workspaces`."""

    def head_iteration(self, agent_id: str) -> int:
        """See `Workspaces`: there is no history here."""
        return 0

    async def remove(self, agent_id: str) -> None:
        """See `Workspaces`."""
        await asyncio.to_thread(shutil.rmtree, self._path(agent_id), ignore_errors=True)

    def _path(self, agent_id: str) -> Path:
        return self._root / agent_id / "workspace"


def _make(directory: Path, deployment: PreparedDeployment, owner: tuple[int, int] | None) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    making = directory.with_name(f".workspace-{uuid.uuid4().hex[:8]}")
    template = deployment.manifest.template
    source = deployment.directory / template if template else None
    if source is not None and source.is_dir():
        shutil.copytree(source, making, symlinks=True)
    else:
        making.mkdir(mode=0o700)
    making.chmod(0o700)
    if owner is not None:
        for parent, names, files in os.walk(making):
            for name in (".", *names, *files):
                os.chown(os.path.join(parent, name), *owner, follow_symlinks=False)
    making.rename(directory)
