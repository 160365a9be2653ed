"""Workspaces while somebody works against them: erased, copied, adopted."""

import os
from pathlib import Path

import pytest

from chronicle import Workspace
from chronicle.model.errors import WorkspaceNotFoundError
from podium.coordinator.adapters.workspaces.directory import DirectoryWorkspaces
from podium.coordinator.adapters.workspaces.shelf import Shelf
from podium.coordinator.adapters.workspaces.templates import copy_template


@pytest.mark.proves("CHR-AGENT-ESCAPES")
def test_nobody_borrows_a_workspace_that_is_being_erased_and_its_name_is_free_afterwards(tmp_path: Path) -> None:
    shelf = Shelf()
    for secret in (b"of one tenant", b"of another"):
        with Workspace.create(tmp_path / "ws") as made:
            made.put("file", secret)
        with shelf.borrow("ada", tmp_path / "ws") as library:
            assert library.read("file") == secret
        with shelf.barred("ada"):
            with pytest.raises(WorkspaceNotFoundError), shelf.borrow("ada", tmp_path / "ws"):
                pass
            Workspace.open(tmp_path / "ws").erase()
    shelf.close()


@pytest.mark.proves("CHR-AGENT-ESCAPES")
def test_a_copy_takes_links_as_links_and_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (source / "sub" / "run.sh").chmod(0o555)
    (source / "out").symlink_to(outside)
    (source / "file-out").symlink_to(outside / "secret")
    os.mkfifo(source / "fifo")
    copy_template(source, tmp_path / "copy", mode=0o700)
    copy = tmp_path / "copy"
    assert sorted(os.listdir(copy)) == ["file-out", "out", "sub"]
    assert (copy / "out").is_symlink()
    assert (copy / "file-out").is_symlink()
    assert (copy / "sub" / "run.sh").stat().st_mode & 0o777 == 0o755


async def test_a_workspace_of_any_depth_is_erased(tmp_path: Path) -> None:
    workspaces = DirectoryWorkspaces(tmp_path)
    here = os.open(tmp_path, os.O_RDONLY)
    for name in ("ada", "workspace", *["d"] * 1_300):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    await workspaces.remove("ada")
    assert os.listdir(tmp_path / "ada") == []
    await workspaces.stop()
