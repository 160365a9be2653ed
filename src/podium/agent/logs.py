"""Log records on their way to the agent's log: `ctx.log` and the standard library's `logging`."""

import logging
import math
import time
import traceback
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from podium.wire.link import Log

Level = Literal["debug", "info", "warning", "error", "critical"]

MESSAGE_MAX_CHARS: Final = 64 * 1024
"""A longer message or traceback is cut."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class AgentLog:
    """Structured log of the agent: `ctx.log.info("paid", amount=3)`. Values JSON can't hold are written as their `repr`."""

    def __init__(self, send: Callable[[Log], None], module: str) -> None:
        self._send = send
        self._module = module

    def debug(self, message: str, *args: Any, **fields: Any) -> None:
        """For the author."""
        self._log("debug", message, args, fields)

    def info(self, message: str, *args: Any, **fields: Any) -> None:
        """What happened."""
        self._log("info", message, args, fields)

    def warning(self, message: str, *args: Any, **fields: Any) -> None:
        """Something is odd."""
        self._log("warning", message, args, fields)

    def error(self, message: str, *args: Any, **fields: Any) -> None:
        """Something failed."""
        self._log("error", message, args, fields)

    def critical(self, message: str, *args: Any, **fields: Any) -> None:
        """The agent can't do its work."""
        self._log("critical", message, args, fields)

    def exception(self, message: str, *args: Any, **fields: Any) -> None:
        """An error, with the traceback of the exception being handled."""
        self._log("error", message, args, {**fields, "traceback": traceback.format_exc()})

    def failure(self, message: str, error: BaseException) -> None:
        """An error, with the traceback of `error`."""
        self._log("error", message, (), {"traceback": "".join(traceback.format_exception(error))})

    def _log(self, level: Level, message: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        text = message % args if args else message
        self._send(record(level, text, self._module, time.time(), fields))


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


def record(level: Level, message: str, module: str, when: float, fields: dict[str, Any]) -> Log:
    """The frame for a record made at `when` (epoch seconds)."""
    return Log(
        level=level,
        message=_text(message),
        module=module,
        timestamp=int(when * 1000),
        fields={name: _value(value) for name, value in fields.items()} or None,
    )


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    try:
        encoded = msgspec.json.encode(value, enc_hook=repr)
        if len(encoded) <= MESSAGE_MAX_CHARS:
            return msgspec.json.decode(encoded)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        pass  # what JSON can't hold is told by its repr
    return _text(repr(value))


def _text(text: str) -> str:
    short = text if len(text) <= MESSAGE_MAX_CHARS else text[:MESSAGE_MAX_CHARS] + "…"
    return short if short.isascii() else short.encode("utf-8", "backslashreplace").decode()


def _level_of(number: int) -> Level:
    if number >= logging.CRITICAL:
        return "critical"
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
