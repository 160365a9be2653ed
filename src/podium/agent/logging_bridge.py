"""Records of the standard library's `logging` on their way to the agent's log."""

import logging
import traceback
from collections.abc import Callable
from typing import Final

from podium.agent.logs import Level, record
from podium.wire.link import Log

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LinkHandler(logging.Handler):
    """Sends records of the standard library's loggers; their `extra` becomes fields."""

    def __init__(self, send: Callable[[Log], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record_: logging.LogRecord) -> None:
        """Sends one record; one that can't be formatted is reported by `handleError`, as with every handler."""
        try:
            fields = {name: value for name, value in vars(record_).items() if name not in _STANDARD}
            if record_.exc_info and record_.exc_info[1] is not None:
                fields["traceback"] = "".join(traceback.format_exception(record_.exc_info[1]))
            level = _level_of(record_.levelno)
            self._send(record(level, record_.getMessage(), record_.name, record_.created, fields))
        except Exception:  # noqa: BLE001 - a handler must not raise into the code that logs (logging.Handler)
            self.handleError(record_)


def _level_of(number: int) -> Level:
    if number >= logging.CRITICAL:
        return "critical"
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
