"""A supervisor and workspaces it mounts; fsck finds nothing in them afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle import Workspace
from tests.chronicle_mounts import MountMaker, mount_maker


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[MountMaker]:
    with mount_maker(tmp_path) as made:
        yield made
    for mounted in made.made:
        if mounted.root.exists():
            with Workspace.open(mounted.root) as workspace:
                assert list(workspace.fsck()) == []
