"""Logs of a daemon: one JSON object a line, or readable text on a terminal; ids of what is being done on every line: the trace, the
request, the instance.

A record is an event name and facts given as `extra`. SIGUSR1 prints all task names and stacks to stderr.
"""

import asyncio
import contextlib
import contextvars
import faulthandler
import json
import logging
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any, Final

from podium.base.telemetry.context import current, trace_id_of

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""The request that is being served; added to every record made on its behalf."""

instance_id: contextvars.ContextVar[str] = contextvars.ContextVar("instance_id", default="")
"""The instance that is being worked for; added likewise. Tasks inherit both from whoever starts them."""

_CONTEXT: Final = (request_id, instance_id)


@contextlib.contextmanager
def working_for(instance: str) -> Iterator[None]:
    """Inside, records name this instance."""
    token = instance_id.set(instance)
    try:
        yield
    finally:
        instance_id.reset(token)


_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def set_up_logging(level: str, style: str) -> None:
    """Sends the records of this process to stderr. `style`: `json`, `text`, or `auto` (text on a terminal)."""
    handler = logging.StreamHandler(sys.stderr)
    text = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler.setFormatter(_Text() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def dump_on_signal(loop: asyncio.AbstractEventLoop) -> None:
    """On SIGUSR1, prints the stacks of all threads, at once even when the loop hangs, and then, from the loop, the name
    and stack of every task."""
    loop.add_signal_handler(signal.SIGUSR1, _dump_tasks)
    # After the loop's handler, which it must call: registered first it would be replaced.
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=True)


def _dump_tasks() -> None:
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        sys.stderr.write(f"task {task.get_name()}\n")
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts = {key: value for key, value in vars(record).items() if key not in _STANDARD and not key.startswith("_")}
    for variable in _CONTEXT:
        if known := variable.get():
            facts.setdefault(variable.name, known)
    if traceparent := current.get():
        facts.setdefault("trace_id", trace_id_of(traceparent))
    return facts


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: time, level, event, its facts, the ids of what is being done."""
        said = {
            "ts": round(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        said = {**said, **_facts(record), **said}  # in this order on the line, and no fact passes for one of these
        if record.exc_info and record.exc_info[0] is not None:
            said["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(said, default=str, ensure_ascii=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{key}={_one_line(value)}" for key, value in _facts(record).items())
        line = (
            f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} "
            f"{_one_line(record.getMessage())} {facts}".rstrip()
        )
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return line


def _one_line(value: object) -> str:
    """The text of a fact without control characters, so that nothing a client sent can pass for a line of ours."""
    text = str(value)
    return text if text.isprintable() else repr(text)[1:-1]
