"""How the daemon logs: a line on stderr for each record, as text or JSON, with the facts given as `extra`."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal

_KNOWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _Lines(logging.Formatter):
    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        facts = {name: value for name, value in record.__dict__.items() if name not in _KNOWN}
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = {"time": moment, "level": record.levelname.lower(), "logger": record.name, "pid": record.process}
        if self._as_json:
            return json.dumps({**head, "message": record.getMessage(), **facts}, default=str)
        said = " ".join(f"{name}={json.dumps(value, default=str)}" for name, value in facts.items())
        return f"{moment} {record.levelname.lower():8} {record.getMessage()} {said}".rstrip()


def log_to_stderr(form: Literal["text", "json"], level: int = logging.INFO) -> None:
    """Sends all records of `level` and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(as_json=form == "json"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
