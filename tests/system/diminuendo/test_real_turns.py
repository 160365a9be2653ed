"""Turns of real agents on a real platform, through the mapper into a session's database, over a crash in the middle."""

import asyncio
from pathlib import Path

import msgspec

from diminuendo.domain.life import (
    Attached,
    Connect,
    Create,
    Created,
    Enter,
    IdleAt,
    Lost,
    Needed,
    Proceed,
    SessionLife,
    TurnBegan,
    TurnOver,
)
from diminuendo.domain.mapper import map_podium_event, said_by_person
from diminuendo.domain.sessions import SessionState
from diminuendo.storage.places import Places
from diminuendo.storage.session_store import SessionStore, StoredEvent
from podium.base.clock import SystemClock
from podium.cli.project import Project
from podium.cli.upload import deploy
from podium.client import ClientSettings, PodiumClient, PodiumEvent
from podium.wire.rest import InstanceCreate
from tests.system.cli.platforms import Up, running

COUNTER = Path(__file__).parents[3] / "examples" / "counter"
SESSION = "sess-aaaaaaaaaaaaaaaa"


class Sitting:
    """A session as long as one process of Diminuendo lives."""

    def __init__(self, root: Path, shown: list[StoredEvent]) -> None:
        loop = asyncio.get_running_loop()
        clock = SystemClock()
        path = Places(root).session(SESSION)
        self.shown = shown
        self.store = SessionStore.open(path, SESSION, clock, loop.call_later, self.failed)
        resume = self.store.resume()
        self.after = resume.podium_seq
        self.failures: list[Exception] = []

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def take(self, event: PodiumEvent) -> None:
        mapped = map_podium_event(SESSION, event.turn_id, event)
        self.store.append(mapped, self.shown.extend, event.seq, said_by_person(event))

    def crash(self) -> None:
        """What was not committed is gone, as when the process is killed."""
        self.store._connection.close()


def test_a_real_conversation_reaches_clients_once_and_in_order_over_a_crash(tmp_path: Path) -> None:
    with running(tmp_path / "platform") as up:
        asyncio.run(_converse(up, tmp_path))


async def _converse(up: Up, root: Path) -> None:
    settings = ClientSettings((up.data / "address").read_text().strip(), (up.data / "dev-key").read_text().strip())
    shown: list[StoredEvent] = []
    machine = SessionLife()
    async with PodiumClient(settings) as podium:
        await deploy(podium, Project(COUNTER))
        assert machine.handle(Needed("turn", 0)) == [Enter(SessionState.ACTIVATING, None), Create()]
        made = await podium.instances.create(InstanceCreate("counter", agent_id=SESSION))
        assert machine.handle(Created(made.instance_id))[-1] == Connect(made.instance_id)

        sitting = Sitting(root, shown)
        async with await podium.connect(made.instance_id, after=sitting.after) as stream:
            assert Proceed("turn") in machine.handle(Attached(made.instance_id, 0))
            await stream.send_message("count to 40")
            taken = 0
            async for event in stream.events:
                sitting.take(event)
                taken += event.kind == "stream_update"
                if event.kind == "stream_start":
                    assert machine.handle(TurnBegan(event.turn_id or "")) == [
                        Enter(SessionState.RUNNING, made.instance_id)
                    ]
                if taken == 10:
                    break
        sitting.crash()
        seen_before = len(shown)

        sitting = Sitting(root, shown)
        async with await podium.connect(made.instance_id, after=sitting.after) as stream:
            async for event in stream.events:
                sitting.take(event)
                if event.kind == "stream_end":
                    decided = machine.handle(TurnOver(1))
                    assert isinstance(decided[-1], IdleAt)
                if event.kind == "checkpoint":
                    break
        sitting.store.flush()
        assert sitting.failures == []
        assert sitting.store.findings() == []

        await podium.stop_instance(made.instance_id)
        assert machine.handle(Lost(made.instance_id, "stopped")) == [Enter(SessionState.INACTIVE, None)]

    assert 0 < seen_before < len(shown)
    assert [event.seq for event in shown] == list(range(1, len(shown) + 1))
    assert sitting.store.events_after(0, 10_000) == shown
    said = sitting.store.history(None, 10)
    assert [row.role for row in said] == ["user", "assistant"]
    assert (said[0].text, said[1].stop_reason, said[0].turn_id) == ("count to 40", "end_turn", said[1].turn_id)
    streamed = "".join(_text(event.frame) for event in shown)
    assert streamed == said[1].text
    sitting.store.close()


def _text(frame: bytes) -> str:
    read = msgspec.json.decode(frame)
    return str(read["text"]) if read["type"] == "text_delta" else ""
