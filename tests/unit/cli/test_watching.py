"""What `podium dev` takes for a change."""

import os
from pathlib import Path

import pytest

from podium.cli.development.watching import differences, state_of

MANIFEST = '[agent]\ntype = "it"\nversion = "1.0.0"\nruntime = "python"\nentry = "agent:It"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An agent's directory."""
    (tmp_path / "podium.toml").write_text(MANIFEST)
    (tmp_path / "agent.py").write_text("class It: ...\n")
    return tmp_path


def test_what_is_written_made_or_removed_is_a_change(project: Path) -> None:
    before = state_of(project)
    assert differences(before, state_of(project)) == []
    (project / "agent.py").write_text("class It: pass\n")
    (project / "more.py").write_text("")
    now = state_of(project, before)
    assert differences(before, now) == ["agent.py", "more.py"]
    (project / "more.py").unlink()
    assert differences(now, state_of(project, now)) == ["more.py"]


def test_the_same_size_at_another_time_is_a_change(project: Path) -> None:
    before = state_of(project)
    os.utime(project / "agent.py", ns=(0, 1))
    assert differences(before, state_of(project)) == ["agent.py"]


def test_what_is_no_part_of_the_bundle_is_none(project: Path) -> None:
    before = state_of(project)
    (project / "__pycache__").mkdir()
    (project / "__pycache__" / "agent.pyc").write_text("")
    assert differences(before, state_of(project, before)) == []


def test_while_the_manifest_is_being_written_only_it_has_changed(project: Path) -> None:
    before = state_of(project)
    (project / "podium.toml").write_text(MANIFEST[:20])
    broken = state_of(project, before)
    assert differences(before, broken) == ["podium.toml"]
    (project / "podium.toml").write_text(MANIFEST + "\n")
    assert differences(broken, state_of(project, broken)) == ["podium.toml"]
