"""Which instances have work, as others should know it: also those whose replica does not know yet that it is done."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

LINGER_SECONDS: Final = 5.0
"""For how long work that is done still counts: more than twice what the replica needs by default. If the host is lost meanwhile, the
replica may say that a turn runs, and somebody must go on with it."""


class Work:
    """Remembers who had work a moment ago. `changed` is called when that is over. Without replicas nobody needs it."""

    def __init__(self, changed: "Callable[[Instance], None]", *, lingers: bool) -> None:
        self._changed = changed
        self._lingers = lingers
        self._working: set[str] = set()
        self._lingering: dict[str, asyncio.TimerHandle] = {}

    def of(self, instance: "Instance") -> bool:
        """Whether an instance has work, or had a moment ago."""
        return instance.has_work or instance.facts.instance_id in self._lingering

    def noted(self, instance: "Instance") -> None:
        """Its status, or whether it has work, is another."""
        name = instance.facts.instance_id
        if instance.has_work:
            self._working.add(name)
            self._let_go(name)
        elif name in self._working:
            self._working.discard(name)
            if self._lingers:
                self._lingering[name] = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._over, instance)

    def forget(self, instance: "Instance") -> None:
        """It is not here any more."""
        self._working.discard(instance.facts.instance_id)
        self._let_go(instance.facts.instance_id)

    def close(self) -> None:
        """Nothing is told any more."""
        for name in list(self._lingering):
            self._let_go(name)

    def _let_go(self, name: str) -> None:
        handle = self._lingering.pop(name, None)
        if handle is not None:
            handle.cancel()

    def _over(self, instance: "Instance") -> None:
        self._lingering.pop(instance.facts.instance_id, None)
        if not instance.lost and not instance.is_over:
            self._changed(instance)
