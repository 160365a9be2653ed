"""One platform and one Diminuendo for all tests of ACP."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from podium.base.bun import find_bun
from tests.agents import source
from tests.system.acp.editors import Office
from tests.system.api import Caller
from tests.system.daemons import Daemons
from tests.system.diminuendo.people import Process

OFFERS = """
[config.acp]
images = true

[[config.acp.options]]
id = "mode"
name = "Mode"
category = "mode"
values = ["ask", { value = "code", name = "Code", description = "Changes files without asking" }]

[[config.acp.options]]
id = "brave"
name = "Brave"

[[config.acp.commands]]
name = "review"
description = "Reviews what changed"
hint = "what to look at"
"""


@pytest.fixture(scope="package")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Made once; sessions keep tests apart."""
    directory = tmp_path_factory.mktemp("office")
    daemons = Daemons(directory / "platform")
    try:
        made = asyncio.run(_started(daemons, directory))
        yield made
        made.diminuendo.close()
    finally:
        daemons.close()


async def _started(daemons: Daemons, folder: Path) -> Office:
    await daemons.start_all()
    key = await daemons.key("editors")
    async with aiohttp.ClientSession() as http:
        caller = Caller(daemons, http, key)
        await caller.deploy(folder / "editor", "editor", source("editor"), extra=OFFERS)
        if find_bun() is not None:
            await caller.deploy(folder / "editor-ts", "editor-ts", source("editor", "typescript"), extra=OFFERS)
    diminuendo = Process(folder / "diminuendo", daemons.url, key)
    await diminuendo.start()
    return Office(daemons, diminuendo, key, folder)
