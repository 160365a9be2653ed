"""A workspace with a past, and the magic files that tell about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.mount.magic import Magic
from tests.unit.chronicle.worktree.past import Past


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    workspace = Past(tmp_path / "workspace")
    yield workspace
    workspace.close()


@pytest.fixture
def magic(past: Past) -> Iterator[Magic]:
    files = Magic(past.history, past.pool, past.layout.pending)
    yield files
    files.close()
