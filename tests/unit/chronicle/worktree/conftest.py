"""Workspaces with a past."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.chronicle.worktree.past import Past


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    workspace = Past(tmp_path / "workspace")
    yield workspace
    workspace.close()
