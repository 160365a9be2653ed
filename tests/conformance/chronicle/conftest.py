"""Directories the conformance tests compare: a plain one on the host's file system, and a mounted one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chronicle_mounts import Mounted, MountMaker, mount_maker


@pytest.fixture
def make_mount(tmp_path: Path) -> Iterator[MountMaker]:
    """Makes mounts, each of a fresh workspace; they are gone after the test."""
    with mount_maker(tmp_path) as maker:
        yield maker


@pytest.fixture(scope="module")
def _standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    with mount_maker(tmp_path_factory.mktemp("standing")) as maker:
        yield maker()


@pytest.fixture
def mounted(_standing: Mounted) -> Path:
    """A mounted workspace's directory, shared by the tests of a module."""
    return _standing.directory


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A directory of the host's file system."""
    directory = tmp_path / "plain"
    directory.mkdir()
    for parent in (directory, *directory.parents):
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)  # other users walk through it
    return directory
