"""Workspaces as plain directories: `agents/{agent_id}/workspace`, without history."""

import asyncio
import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from podium.coordinator.domain.ports import PreparedDeployment

WORKSPACE_NAME: Final = "workspace"
"""The workspace's directory inside the agent's."""


class DirectoryWorkspaces:
    """A `Workspaces` below `agents`, the directory that holds one directory for each agent."""

    def __init__(self, agents: Path) -> None:
        self._agents = agents

    @property
    def backend(self) -> str:
        """`directory`."""
        return "directory"

    async def open(self, agent_id: str, deployment: PreparedDeployment, *, owner: tuple[int, int] | None) -> Path:
        """The workspace; a new one is filled beside its place and then renamed, so that it is there whole or not at all."""
        path = self._agents / agent_id / WORKSPACE_NAME
        if not path.is_dir():
            await asyncio.to_thread(_make, path, _template(deployment), owner)
        return path

    async def close(self, agent_id: str) -> None:
        """Nothing is held."""

    def head_iteration(self, agent_id: str) -> int:  # noqa: ARG002 - the port has it
        """There is no history."""
        return 0

    async def remove(self, agent_id: str) -> None:
        """Erases the workspace; removing none is fine."""
        await asyncio.to_thread(_remove, self._agents / agent_id / WORKSPACE_NAME)


def _template(deployment: PreparedDeployment) -> Path | None:
    if deployment.manifest.template is None:
        return None
    template = deployment.directory / deployment.manifest.template
    return template if template.is_dir() else None


def _make(path: Path, template: Path | None, owner: tuple[int, int] | None) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{WORKSPACE_NAME}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    making = path.parent / f".{WORKSPACE_NAME}-{secrets.token_hex(4)}"
    if template is None:
        making.mkdir(mode=0o700)
    else:
        shutil.copytree(template, making, symlinks=True, copy_function=shutil.copy)
        _make_writable(making)
        making.chmod(0o700)
    if owner is not None:
        _give(making, owner)
    making.rename(path)


def _make_writable(directory: Path) -> None:
    """A template's files may be read-only in the bundle; a workspace's are its agent's to change."""
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o600)


def _give(directory: Path, owner: tuple[int, int]) -> None:
    for parent, names, files in os.walk(directory):
        for name in (*names, *files):
            os.chown(os.path.join(parent, name), *owner, follow_symlinks=False)
    os.chown(directory, *owner)


def _remove(path: Path) -> None:
    going = path.parent / f".{WORKSPACE_NAME}-{secrets.token_hex(4)}"
    try:
        path.rename(going)
    except FileNotFoundError:
        return
    shutil.rmtree(going)
