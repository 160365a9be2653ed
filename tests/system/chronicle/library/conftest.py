"""A workspace that nobody serves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A new workspace; afterwards fsck finds nothing in it."""
    with Workspace.create(tmp_path / "store") as opened:
        yield opened
        if opened.root.exists():
            assert list(opened.fsck()) == []
