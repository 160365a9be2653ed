"""Workspaces as plain directories."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium.coordinator.adapters.workspaces import DirectoryWorkspaces
from podium.coordinator.domain.ports import PreparedDeployment
from podium.wire.manifest import Manifest
from podium.wire.rest import Deployment


def prepared(bundle: Path, template: str | None) -> PreparedDeployment:
    described = Deployment("echo:1.0.0@00000000", "echo", "1.0.0", "sha256:" + "0" * 64, 1, "python", 0)
    manifest = Manifest("echo", "1.0.0", "python", "agent:A", template=template)
    return PreparedDeployment(described, manifest, bundle, Path(sys.executable))


@pytest.fixture
async def workspaces(tmp_path: Path) -> AsyncIterator[DirectoryWorkspaces]:
    """Workspaces below `agents`."""
    made = DirectoryWorkspaces(tmp_path / "agents")
    yield made
    await made.stop()


async def test_a_new_workspace_is_a_copy_of_the_template_the_agent_may_change(
    tmp_path: Path, workspaces: DirectoryWorkspaces
) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "workspace" / "notes").mkdir(parents=True)
    (bundle / "workspace" / "notes" / "a.txt").write_text("first")
    (bundle / "workspace" / "notes" / "a.txt").chmod(0o444)
    path = await workspaces.open("a", prepared(bundle, "workspace/"), owner=None)
    assert path == tmp_path / "agents" / "a" / "workspace"
    (path / "notes" / "a.txt").write_text("mine")
    assert (bundle / "workspace" / "notes" / "a.txt").read_text() == "first"


async def test_a_workspace_is_filled_once_and_kept(tmp_path: Path, workspaces: DirectoryWorkspaces) -> None:
    (tmp_path / "bundle" / "w").mkdir(parents=True)
    (tmp_path / "bundle" / "w" / "a").write_text("template")
    path = await workspaces.open("a", prepared(tmp_path / "bundle", "w"), owner=None)
    (path / "a").unlink()
    await workspaces.close("a")
    assert list((await workspaces.open("a", prepared(tmp_path / "bundle", "w"), owner=None)).iterdir()) == []
    assert (workspaces.backend, workspaces.head_iteration("a")) == ("directory", 0)


async def test_a_copy_that_was_cut_off_is_not_taken_for_a_workspace(
    tmp_path: Path, workspaces: DirectoryWorkspaces
) -> None:
    (tmp_path / "bundle").mkdir()
    half = tmp_path / "agents" / "a" / ".workspace-00000000"
    half.mkdir(parents=True)
    path = await workspaces.open("a", prepared(tmp_path / "bundle", None), owner=None)
    assert [entry.name for entry in path.parent.iterdir()] == ["workspace"]


async def test_a_removed_workspace_is_gone_and_may_be_removed_again(
    tmp_path: Path, workspaces: DirectoryWorkspaces
) -> None:
    (tmp_path / "bundle").mkdir()
    path = await workspaces.open("a", prepared(tmp_path / "bundle", None), owner=None)
    (path / "file").write_text("x")
    for _ in range(2):
        await workspaces.remove("a")
    assert list(path.parent.iterdir()) == []
