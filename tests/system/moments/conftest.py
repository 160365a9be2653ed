from pathlib import Path
from typing import Any

import pytest

from tests.system.api import Caller
from tests.system.moments.writers import WRITING


@pytest.fixture
async def writer(caller: Caller, agent_type: str, tmp_path: Path) -> dict[str, Any]:
    """An instance whose agent counts its turns, runs commands and reads its files back."""
    return await caller.create(await caller.deploy(tmp_path / "writer", agent_type, WRITING))
