"""The agent's log: `ctx.log`, and how a record is written."""

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
