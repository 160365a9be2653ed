from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.agents import Runtime, source
from tests.system.api import Caller


@pytest.fixture
async def writer(caller: Caller, agent_type: str, runtime: Runtime, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """An instance whose agent counts its turns, runs commands and reads its files back. At the end every agent of the tenant
    is erased, and with it its mount."""
    yield await caller.create(await caller.deploy(tmp_path / "writer", agent_type, source("scribe", runtime)))
    for agent in (await caller("GET", "/api/v1/agents?limit=1000")).body["items"]:
        if agent["instance_id"] is not None:
            await caller("DELETE", f"/api/v1/instances/{agent['instance_id']}")
        await caller("DELETE", f"/api/v1/agents/{agent['agent_id']}")
