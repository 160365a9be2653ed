"""The daemon's log, as text and as JSON."""

import json
import logging

import pytest

from chronicle.daemon.logs import _Lines


def record(message: str, **facts: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "chronicle.daemon", "levelname": "INFO", "levelno": 20, "msg": message, "created": 0.5}
    )
    made.__dict__.update(facts)
    return made


def test_a_record_is_one_line_with_its_facts() -> None:
    line = _Lines(as_json=False).format(record("mounted", mountpoint="/a b", worker=7))
    assert line == '1970-01-01T00:00:00.500+00:00 info     mounted mountpoint="/a b" worker=7'


def test_a_fact_can_not_forge_a_line() -> None:
    assert "\n" not in _Lines(as_json=False).format(record("mounted", mountpoint="x\n1970 error"))


def test_as_json_it_is_an_object() -> None:
    said: dict[str, str] = json.loads(_Lines(as_json=True).format(record("mounted", mountpoint="/a")))
    assert (said["message"], said["mountpoint"], said["level"]) == ("mounted", "/a", "info")


def test_an_exception_is_told() -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError("nothing")
    made = record("failed")
    made.exc_info = (KeyError, caught.value, caught.tb)
    assert "KeyError" in json.loads(_Lines(as_json=True).format(made))["error"]
