"""Directories of an agent, and the directory of the SDK."""

import os
import stat
from pathlib import Path

import pytest

from podium.agent.process.mounts import closed_ancestor
from podium.coordinator.adapters.processes.directories import give_away, prepare
from podium.coordinator.adapters.processes.sdk import make_sdk_directory

UID = 200_123
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_missing_is_made_private(tmp_path: Path) -> None:
    agent = tmp_path / "a"
    prepare(agent, agent / "workspace", None)
    assert [mode(agent / name) for name in ("home", "tmp", "run")] == [0o700] * 3


@as_root
def test_databases_are_closed_to_the_agent_and_its_own_directories_belong_to_it(tmp_path: Path) -> None:
    agent = tmp_path / "a"
    (agent / "workspace" / "deep").mkdir(parents=True)
    (agent / "db").mkdir()
    (agent / "workspace" / "link").symlink_to("/etc/passwd")
    prepare(agent, agent / "workspace", UID)
    give_away(agent / "workspace", UID)
    assert (agent.stat().st_uid, agent.stat().st_gid, mode(agent)) == (0, UID, 0o750)
    assert (mode(agent / "db"), (agent / "db").stat().st_uid) == (0o700, 0)
    for name in ("home", "tmp", "workspace", "workspace/deep"):
        assert (agent / name).stat().st_uid == UID
    assert (agent / "workspace" / "link").lstat().st_uid == UID
    assert Path("/etc/passwd").stat().st_uid == 0


@as_root
def test_a_link_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "home").symlink_to("/etc")
    with pytest.raises(OSError, match="home"):
        prepare(tmp_path / "a", tmp_path / "a" / "workspace", UID)


def test_the_outermost_closed_directory_is_found(tmp_path: Path) -> None:
    tmp_path = tmp_path.resolve()
    for parent in tmp_path.parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            assert closed_ancestor(tmp_path) == parent or closed_ancestor(tmp_path) in tmp_path.parents
            return
    (tmp_path / "closed" / "below").mkdir(parents=True)
    tmp_path.chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    assert closed_ancestor(tmp_path / "closed" / "below") == tmp_path / "closed"


def test_the_sdk_directory_holds_links_to_the_packages_and_nothing_else(tmp_path: Path) -> None:
    packages = [tmp_path / "site" / name for name in ("podium", "msgspec", "secret")]
    for package in packages:
        package.mkdir(parents=True)
    made = make_sdk_directory(tmp_path / "data", packages[:2])
    assert {link.name: link.resolve() for link in made.iterdir()} == {p.name: p.resolve() for p in packages[:2]}
    assert make_sdk_directory(tmp_path / "data", reversed(packages[:2])) == made
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [made.name]
