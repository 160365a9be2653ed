"""One stream of the client over the death of everything behind it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from podium.cli.project import Project
from podium.cli.upload import deploy
from podium.client import ClientSettings, PodiumClient, PodiumEvent
from podium.wire.rest import InstanceCreate
from tests.system.cli.platforms import Up, running

COUNTER = Path(__file__).parents[3] / "examples" / "counter"
LAST = 150
KILLS = {"10": "gateway", "60": "coordinator", "110": "gateway"}


@pytest.mark.proves("CLIENT-RESUME")
def test_a_stream_survives_gateway_and_coordinator_without_gap_or_repetition(tmp_path: Path) -> None:
    with running(tmp_path) as up:
        events = asyncio.run(_count(up))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    numbers = [int(event.text) for event in events if event.kind == "stream_update" and event.text.strip().isdigit()]
    assert sorted(set(numbers)) == list(range(1, LAST + 1))
    assert events[-1].kind == "checkpoint"


async def _count(up: Up) -> list[PodiumEvent]:
    settings = ClientSettings((up.data / "address").read_text().strip(), (up.data / "dev-key").read_text().strip())
    kills = dict(KILLS)
    events: list[PodiumEvent] = []
    async with PodiumClient(settings) as podium:
        await deploy(podium, Project(COUNTER))
        made = await podium.instances.create(InstanceCreate("counter", config={"pause_ms": 40}))
        async with await podium.connect(made.instance_id, after=0) as stream:
            ack = await stream.send_message(f"count to {LAST}")
            async for event in stream.events:
                events.append(event)
                daemon = kills.pop(event.text.strip(), None)
                if daemon is not None:
                    os.kill(up.daemons()[daemon], signal.SIGKILL)
                if event.kind == "checkpoint" and event.turn_id == ack.turn_id:
                    break
            assert stream.reconnects >= 2
    assert not kills
    return events
