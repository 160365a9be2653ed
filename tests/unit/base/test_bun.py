"""Where Bun is found, and how modules find the SDK."""

from pathlib import Path

import pytest

from podium.base import bun
from podium.base.bun import find_bun, link_sdk, sdk_directory


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_setting_wins_and_is_never_replaced(tmp_path: Path) -> None:
    given, other = program(tmp_path / "mine" / "bun-1.4"), program(tmp_path / "path" / "bun")
    path = str(other.parent)
    assert find_bun({"PODIUM_BUN": str(given), "PATH": path}) == given
    assert find_bun({"PODIUM_BUN": str(tmp_path / "nothing"), "PATH": path}) is None
    assert find_bun({"PODIUM_BUN": str(tmp_path), "PATH": path}) is None


def test_the_path_comes_before_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bun, "_CHECKOUT", tmp_path)
    assert find_bun({"PATH": str(tmp_path / "path")}) is None
    here = program(tmp_path / ".tools" / "bin" / "bun")
    assert find_bun({"PATH": str(tmp_path / "path")}) == here
    there = program(tmp_path / "path" / "bun")
    assert find_bun({"PATH": str(tmp_path / "path")}) == there


def test_a_link_to_the_sdk_is_made_once_and_moved_when_podium_moved(tmp_path: Path) -> None:
    link = link_sdk(tmp_path) / "@podium" / "ts"
    assert link.readlink() == sdk_directory()
    assert link_sdk(tmp_path) == tmp_path / "node_modules"
    link.unlink()
    link.symlink_to("/somewhere/else")
    link_sdk(tmp_path)
    assert link.readlink() == sdk_directory()
    assert [entry.name for entry in link.parent.iterdir()] == ["ts"]


def test_somebody_s_own_sdk_stays(tmp_path: Path) -> None:
    own = tmp_path / "node_modules" / "@podium" / "ts"
    own.mkdir(parents=True)
    link_sdk(tmp_path)
    assert own.is_dir()
    assert not own.is_symlink()
