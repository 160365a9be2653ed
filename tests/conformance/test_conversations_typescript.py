"""The TypeScript SDK replays every golden conversation: a real Bun process for each, over a Unix socket; from its sources, and as
the one compiled file hosts run."""

import asyncio
from pathlib import Path

import pytest

from podium.base.bun import find_bun
from podium.coordinator.adapters.processes.runner import make_runner
from tests.bun import needs_bun
from tests.conformance.conversation import DIRECTORY, TIMEOUT_SECONDS, Conversation, Player

ROOT = Path(__file__).parents[2]
AGENTS = ROOT / "typescript" / "agent" / "test" / "agents"
RUN = ROOT / "typescript" / "agent" / "src" / "run.ts"
FILES = sorted(DIRECTORY.glob("*.jsonl"))

ENTRIES = {"migrated": "migrated.ts:Migrated"}
"""What the manifest's `entry` would say; the others are the default export of the file named after the agent."""


@pytest.fixture(scope="module", params=["sources", "compiled"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is run."""
    bun = find_bun()
    if request.param == "sources" or bun is None:
        return RUN
    built = make_runner(bun, tmp_path_factory.mktemp("runner"))
    assert built != RUN
    return built


@pytest.mark.proves("SDK-GOLDEN-CONVERSATIONS")
@needs_bun
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_sdk_plays_its_part(path: Path, program: Path, tmp_path: Path) -> None:
    bun = find_bun()
    assert bun is not None
    conversation = Conversation(path)
    connected: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    address = tmp_path / "link.sock"
    server = await asyncio.start_unix_server(lambda *streams: connected.put_nowait(streams), address)
    entry = ENTRIES.get(conversation.agent, f"{conversation.agent}.ts")
    process = await asyncio.create_subprocess_exec(
        bun, program, "run", AGENTS, entry, env={"PODIUM_SOCKET": str(address)}, stdout=-1, stderr=-1
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reader, writer = await connected.get()
        await Player(reader, writer).play(conversation)
        printed = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
        assert (process.returncode, *printed) == (conversation.exit_code, b"", b"")
        writer.close()
        await writer.wait_closed()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        server.close()
        await server.wait_closed()


def test_there_is_an_agent_for_every_conversation() -> None:
    written = {path.stem for path in AGENTS.glob("*.ts")}
    assert {Conversation(path).agent for path in FILES} <= written
