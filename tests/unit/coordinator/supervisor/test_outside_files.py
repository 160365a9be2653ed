"""Files of an agent that is replicated before it is shown are shown when they are outside."""

from types import SimpleNamespace
from typing import Any

import pytest

from podium.coordinator.adapters.replication import ReplicaUnavailableError
from podium.coordinator.supervisor.outside_files import OutsideFiles
from podium.wire.errors import ErrorCode, PodiumError


class Host:
    """A host with one agent, and what it brings outside."""

    def __init__(self, *, is_sync: bool = True, backend: str = "fuse") -> None:
        self.may_write = True
        self.instance: Any = SimpleNamespace(
            lost=False,
            showing=SimpleNamespace(is_sync=is_sync),
            files=SimpleNamespace(outside=0),
            around=SimpleNamespace(may_write=lambda: self.may_write),
        )
        self.is_away = False
        self.asked = 0
        self.told: list[str] = []
        self.replication = self
        self.parts = SimpleNamespace(replicas=object(), workspaces=SimpleNamespace(backend=backend))
        supervisor: Any = self
        self.files = OutsideFiles(supervisor)

    def of_agent(self, _agent_id: str) -> Any:
        return self.instance

    async def whole(self, _agent_id: str, _seconds: float) -> None:
        self.asked += 1
        if self.is_away:
            raise ReplicaUnavailableError("it is away")

    def touched(self, _instance: Any) -> None:
        self.told.append("touched")

    def owe(self, _instance: Any) -> None:
        self.told.append("owed")


async def test_what_is_outside_is_not_asked_for_again() -> None:
    host = Host()
    await host.files.shown("agent", 3)
    await host.files.shown("agent", 2)
    assert host.asked == 1
    await host.files.shown("agent", 4)
    assert host.asked == 2


@pytest.mark.parametrize("host", [Host(is_sync=False), Host(backend="directory")])
async def test_files_of_others_wait_for_nothing(host: Host) -> None:
    assert not host.files.waits("agent")
    await host.files.shown("agent", 3)
    assert host.asked == 0


async def test_while_the_replica_is_away_nothing_new_is_shown() -> None:
    host = Host()
    await host.files.shown("agent", 3)
    host.is_away = True
    await host.files.shown("agent", 3)
    with pytest.raises(PodiumError) as refused:
        await host.files.shown("agent", 4)
    assert refused.value.code is ErrorCode.WORKSPACE_UNAVAILABLE
    host.is_away = False
    await host.files.shown("agent", 4)


async def test_a_host_that_may_have_lost_its_lease_shows_nothing() -> None:
    host = Host()
    host.may_write = False
    with pytest.raises(PodiumError) as refused:
        await host.files.shown("agent", 1)
    assert refused.value.code is ErrorCode.DRAINING


async def test_a_change_is_brought_outside_also_when_it_failed_halfway() -> None:
    host = Host(is_sync=False)

    async def change() -> None:
        async with host.files.changing("agent"):
            assert host.told == ["touched"]
            raise OSError("halfway")

    with pytest.raises(OSError, match="halfway"):
        await change()
    assert host.told == ["touched", "owed"]
