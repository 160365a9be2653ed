"""fsck of a workspace: what the parts say of each other."""

import shutil
from pathlib import Path

import pytest

from chronicle import InvalidInputError, Workspace
from chronicle.model.paths import BESIDE

pytestmark = pytest.mark.proves("CHR-FSCK-FINDS")


@pytest.fixture
def damaged(tmp_path: Path) -> Workspace:
    """A workspace that a test damages."""
    workspace = Workspace.create(tmp_path / "damaged")
    workspace.put("a", b"content")
    return workspace


def found(workspace: Workspace) -> set[str]:
    with workspace:
        return {finding.kind for finding in workspace.fsck()}


def test_a_content_that_is_in_no_tier(damaged: Workspace) -> None:
    root = damaged.root
    damaged.close()
    shutil.rmtree(root / "pool")
    with Workspace.open(root) as opened:
        assert {finding.kind for finding in opened.fsck()} == {"content-missing", "not-registered"}


def test_a_workspace_its_pool_does_not_know_is_registered_by_repair(damaged: Workspace) -> None:
    for note in (damaged.root / "pool" / "workspaces").iterdir():
        note.unlink()
    findings = list(damaged.fsck())
    assert [finding.kind for finding in findings] == ["not-registered"]
    assert damaged.repair(findings) == findings
    assert found(damaged) == set()


def test_a_tree_that_is_not_what_head_says_is_recorded_by_the_next_writer(damaged: Workspace) -> None:
    (damaged.root / "tree" / "a").write_bytes(b"behind its back")
    findings = list(damaged.fsck())
    assert [finding.kind for finding in findings] == ["tree-differs"]
    damaged.repair(findings)
    damaged.barrier()
    assert damaged.read("a") == b"behind its back"
    assert found(damaged) == set()


def test_what_programs_that_died_left_is_removed_by_repair(damaged: Workspace) -> None:
    (damaged.root / ".incoming-x").write_bytes(b"half")
    (damaged.root / "mount.json").write_bytes(b"{}")
    findings = list(damaged.fsck())
    assert {(finding.kind, finding.severity) for finding in findings} == {
        ("temporary-file", "leftover"),
        ("mount-note", "leftover"),
    }
    damaged.repair(findings)
    assert found(damaged) == set()


def test_a_collection_refuses_while_nobody_knows_what_a_workspace_needs(damaged: Workspace, tmp_path: Path) -> None:
    with damaged, damaged.fork(tmp_path / "fork") as fork:
        name = fork.settings.workspace_id
        shutil.rmtree(fork.root)
        with pytest.raises(InvalidInputError, match=f"--forget {name}"):
            damaged.gc()
        damaged.forget_user(name)
        damaged.gc()
        with pytest.raises(InvalidInputError):
            damaged.forget_user(damaged.settings.workspace_id)


def test_what_a_killed_restore_left_beside_is_named_and_removed_by_repair_and_nothing_else_is(
    damaged: Workspace,
) -> None:
    damaged.put("d/e/file", b"kept")
    below = damaged.root / "tree" / "d" / "e"
    left = below / (BESIDE.decode() + "0123456789abcdef")
    left.write_bytes(b"half")
    (below / (BESIDE.decode() + "fedcba9876543210")).mkdir()
    (below / (BESIDE.decode() + "mine")).write_bytes(b"somebody's")
    findings = list(damaged.fsck())
    assert [(one.kind, one.where, one.severity) for one in findings] == [
        ("unfinished-file", "d/e/" + left.name, "leftover")
    ]
    assert damaged.repair(findings) == findings
    assert not left.exists()
    assert len(list(below.iterdir())) == 3
    assert found(damaged) == set()
