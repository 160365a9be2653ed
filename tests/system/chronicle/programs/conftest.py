"""A mounted directory for real programs, and a way to run them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chronicle_mounts import Mounted, mount_maker


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    """A mounted workspace; what the history says is checked at the end."""
    with mount_maker(tmp_path) as maker:
        made = maker()
        yield made
        made.unmount()
        assert list(made.workspace.fsck()) == []
