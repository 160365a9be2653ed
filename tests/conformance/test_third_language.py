"""An agent without an SDK speaks the link: the example plays the golden conversations of the counter."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.conformance.conversation import DIRECTORY, TIMEOUT_SECONDS, Conversation, Player

AGENT = Path(__file__).parents[2] / "examples" / "third-language" / "agent.js"
FILES = [path for path in sorted(DIRECTORY.glob("*.jsonl")) if Conversation(path).agent == "counter"]
NODE = shutil.which("node") or shutil.which("bun")


@pytest.mark.proves("SDK-THIRD-LANGUAGE")
@pytest.mark.skipif(NODE is None, reason="neither node nor bun is installed")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_example_plays_the_counter(path: Path, tmp_path: Path) -> None:
    assert NODE is not None
    conversation = Conversation(path)
    connected: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    address = tmp_path / "link.sock"
    server = await asyncio.start_unix_server(lambda *streams: connected.put_nowait(streams), address)
    process = await asyncio.create_subprocess_exec(NODE, AGENT, env={"PODIUM_SOCKET": str(address)})
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reader, writer = await connected.get()
        await Player(reader, writer).play(conversation)
        assert await asyncio.wait_for(process.wait(), TIMEOUT_SECONDS) == conversation.exit_code
        writer.close()
        await writer.wait_closed()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        server.close()
        await server.wait_closed()


def test_the_example_stays_small() -> None:
    assert len(AGENT.read_text().splitlines()) < 100
