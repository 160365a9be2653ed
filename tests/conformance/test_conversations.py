"""The Python SDK replays every golden conversation."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from podium.agent import runtime
from podium.agent.entry import factory_of
from podium.wire import link
from tests.conformance.agents import AGENTS
from tests.conformance.conversation import DIRECTORY, Conversation, Player

FILES = sorted(DIRECTORY.glob("*.jsonl"))


@pytest.mark.proves("SDK-GOLDEN-CONVERSATIONS")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_sdk_plays_its_part(path: Path) -> None:
    conversation = Conversation(path)
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    serving = asyncio.get_running_loop().create_task(runtime.serve(theirs, factory_of(AGENTS[conversation.agent])))
    try:
        await Player(reader, writer).play(conversation)
        assert await asyncio.wait_for(serving, 10) == conversation.exit_code
    finally:
        writer.close()
        await writer.wait_closed()
        serving.cancel()
        await asyncio.wait([serving])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_frame_of_a_conversation_is_one_of_the_wire(path: Path) -> None:
    for line in Conversation(path).lines:
        if "to_agent" in line:
            link.read_to_agent(json.dumps(line["to_agent"]).encode())
        elif "from_agent" in line and "<int>" not in json.dumps(line):
            link.read_from_agent(json.dumps(line["from_agent"]).encode())


def test_there_is_an_agent_for_every_conversation_and_the_other_way_round() -> None:
    assert {Conversation(path).agent for path in FILES} == set(AGENTS)
