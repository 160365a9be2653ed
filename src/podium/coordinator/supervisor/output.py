"""What a process prints, on its way into the agent's log: collected for a moment, so that a chatty agent costs few
transactions."""

import logging
from typing import TYPE_CHECKING, Final

from podium.coordinator.adapters.link import Stream
from podium.wire.errors import PodiumError

if TYPE_CHECKING:
    from podium.coordinator.supervisor.instance import Instance

_log = logging.getLogger(__name__)

DELAY_SECONDS: Final = 0.05
"""Printed lines are collected for this long."""

HELD_MAX_LINES: Final = 500
"""More collected lines than this are written at once."""

_LEVEL_OF: Final[dict[Stream, str]] = {"stdout": "info", "stderr": "error"}


class Output:
    """Collects and writes printed lines."""

    def __init__(self, instance: "Instance") -> None:
        self._instance = instance
        self._lines: list[tuple[Stream, str, int]] = []
        self._alarm = instance.around.timers.alarm(self.flush)

    def printed(self, stream: Stream, lines: list[str]) -> None:
        """Lines of a process; in the log a little later."""
        clock = self._instance.around.clock
        now = clock.now_ms()
        self._lines += [(stream, line, now) for line in lines]
        if len(self._lines) > HELD_MAX_LINES:
            self.flush()
        else:
            self._alarm.set(clock.monotonic() + DELAY_SECONDS)

    def flush(self) -> None:
        """Writes what is collected."""
        lines, self._lines = self._lines, []
        instance = self._instance
        if not lines or instance.is_over or instance.lost:
            return
        running = instance.queue.running
        turn_id = running.entry.turn_id if running is not None else ""
        try:
            with instance.step() as step:
                for stream, line, ts in lines:
                    step.batch.log(_LEVEL_OF[stream], line, "", stream, ts, turn_id=turn_id)
        except PodiumError as error:
            _log.error("output_lost", extra={"instance_id": instance.facts.instance_id, "error": str(error)})
