"""Turns of real agents on a real platform, through the mapper into a session's database, over a crash in the middle."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from diminuendo.domain.following import follow, shown
from diminuendo.domain.life import (
    Attached,
    Connect,
    Create,
    Created,
    Decision,
    Enter,
    IdleAt,
    Needed,
    Probe,
    Probed,
    Proceed,
    SessionLife,
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

    def __init__(self, root: Path, shown: list[StoredEvent], machine: SessionLife, instance_id: str) -> None:
        loop = asyncio.get_running_loop()
        clock = SystemClock()
        path = Places(root).session(SESSION)
        self.shown = shown
        self.machine, self.instance_id = machine, instance_id
        self.decided: list[Decision] = []
        self.store = SessionStore.open(path, SESSION, clock, loop.call_later, self.failed)
        resume = self.store.resume()
        self.after = resume.podium_seq
        self.failures: list[Exception] = []

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def take(self, event: PodiumEvent) -> None:
        mapped = map_podium_event(SESSION, event.turn_id, event)
        told = shown(event, mapped, self.instance_id)
        self.store.append(told, self.shown.extend, event.seq, said_by_person(event))
        for happened in follow(event, mapped, self.instance_id, 1):
            self.decided += self.machine.handle(happened)

    def crash(self) -> None:
        """What was not committed is gone, as when the process is killed."""
        self.resume_turn = self.store.resume().turn_id
        self.store._connection.close()


@pytest.mark.proves("DIM-SEQ", "DIM-RECOVERY")
def test_a_real_conversation_reaches_clients_once_and_in_order_over_a_crash(tmp_path: Path) -> None:
    with running(tmp_path / "platform") as up:
        asyncio.run(_converse(up, tmp_path))


async def _converse(up: Up, root: Path) -> None:
    settings = ClientSettings((up.data / "address").read_text().strip(), (up.data / "dev-key").read_text().strip())
    told: list[StoredEvent] = []
    machine = SessionLife()
    async with PodiumClient(settings) as podium:
        await deploy(podium, Project(COUNTER))
        assert machine.handle(Needed("turn", 0)) == [Enter(SessionState.ACTIVATING, None), Create()]
        made = await podium.instances.create(InstanceCreate("counter", agent_id=SESSION))
        assert machine.handle(Created(made.instance_id))[-1] == Connect(made.instance_id)

        sitting = Sitting(root, told, machine, made.instance_id)
        async with await podium.connect(made.instance_id, after=sitting.after) as stream:
            assert Proceed("turn") in machine.handle(Attached(made.instance_id, 0))
            await stream.send_message("count to 40")
            taken = 0
            async for event in stream.events:
                sitting.take(event)
                taken += event.kind == "stream_update"
                if taken == 10:
                    break
        assert sitting.decided[-1] == Enter(SessionState.RUNNING, made.instance_id)
        sitting.crash()
        seen_before = len(told)

        machine = SessionLife(machine.state, made.instance_id, sitting.resume_turn)
        sitting = Sitting(root, told, machine, made.instance_id)
        assert machine.recover() == [Enter(SessionState.ACTIVATING, made.instance_id), Probe(made.instance_id)]
        alive = await podium.is_alive(made.instance_id)
        assert machine.handle(Probed(made.instance_id, alive)) == [Connect(made.instance_id)]
        async with await podium.connect(made.instance_id, after=sitting.after) as stream:
            assert machine.handle(Attached(made.instance_id, 0)) == [Enter(SessionState.RUNNING, made.instance_id)]
            async for event in stream.events:
                sitting.take(event)
                if event.kind == "checkpoint":
                    break
            assert isinstance(sitting.decided[-1], IdleAt)
            assert machine.state.value == "ready"
            await podium.stop_instance(made.instance_id)
            async for event in stream.events:
                sitting.take(event)
                if machine.state is SessionState.INACTIVE:
                    break
        sitting.store.flush()
        assert sitting.failures == []
        assert sitting.store.findings() == []

    assert 0 < seen_before < len(told)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert sitting.store.events_after(0, 10_000) == told
    said = sitting.store.history(None, 10)
    assert [row.role for row in said] == ["user", "assistant"]
    assert (said[0].text, said[1].stop_reason, said[0].turn_id) == ("count to 40", "end_turn", said[1].turn_id)
    streamed = "".join(_text(event.frame) for event in told)
    assert streamed == said[1].text
    sitting.store.close()


def _text(frame: bytes) -> str:
    read = msgspec.json.decode(frame)
    return str(read["text"]) if read["type"] == "text_delta" else ""
