"""A workspace with a past."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.chronicle.worktree.past import Past


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    workspace = Past(tmp_path / "workspace")
    yield workspace
    workspace.close()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """An empty tree."""
    directory = tmp_path / "into"
    directory.mkdir()
    return directory
