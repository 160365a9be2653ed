"""A template is ended when no agent of its deployment was awake for a while, and not before."""

from podium.base.clock import ManualClock
from podium.coordinator.supervisor.templates import Templates
from tests.unit.coordinator.twins import ScriptedHost


class _Host(ScriptedHost):
    def __init__(self) -> None:
        super().__init__()
        self.cooled: list[str] = []

    async def cool(self, deployment_id: str) -> None:
        self.cooled.append(deployment_id)


async def test_a_template_is_ended_when_nothing_used_it_for_long_enough() -> None:
    host, clock = _Host(), ManualClock()
    awake = {"a", "b"}
    templates = Templates(host, clock, lambda: awake, idle_seconds=60.0)
    await templates.look()
    clock.advance(100)
    awake.discard("a")
    await templates.look()
    assert host.cooled == ["a"]
    clock.advance(100)
    await templates.look()
    assert host.cooled == ["a"]
    templates.used("c")
    clock.advance(59)
    await templates.look()
    assert host.cooled == ["a"]
    clock.advance(1)
    await templates.look()
    assert host.cooled == ["a", "c"]
