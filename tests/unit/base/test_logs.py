"""Logs of a daemon: facts on one line, ids of what is being done, no secrets, stacks on demand."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from podium.base import logs, telemetry
from podium.base.config import Secret

HANGING = """
import asyncio, os, signal, sys, time
from podium.base.logs import dump_on_signal

async def waits():
    await asyncio.Event().wait()

async def main():
    dump_on_signal(asyncio.get_running_loop())
    waiting = asyncio.get_running_loop().create_task(waits(), name="part:waits")
    await asyncio.sleep(0)
    print("up", flush=True)
    sys.stdin.readline()  # the loop hangs here
    await asyncio.sleep(0.01)
    waiting.cancel()

asyncio.run(main())
"""


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield logging.getLogger("podium.test")
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_one_json_object_with_facts_and_context(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up_logging("info", "json")

    async def work() -> None:
        logs.request_id.set("req-1")
        logs.instance_id.set("inst-1")
        logger.info("key_made", extra={"count": 2, "key": Secret("very secret")})
        logger.debug("not written")

    asyncio.run(work())
    said = json.loads(capsys.readouterr().err)
    assert said.pop("ts") > 0
    assert said == {
        "level": "info", "logger": "podium.test", "event": "key_made", "count": 2, "key": "Secret(…)",
        "request_id": "req-1", "instance_id": "inst-1",
    }  # fmt: skip


@pytest.mark.proves("LOGS-JOINED")
def test_a_record_names_the_trace_and_the_instance_it_is_about_and_only_there(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up_logging("info", "json")
    with telemetry.under("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"), logs.working_for("inst-1"):
        logger.info("inside")
    logger.info("outside")
    inside, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert (inside["trace_id"], inside["instance_id"]) == ("0123456789abcdef0123456789abcdef", "inst-1")
    assert not {"trace_id", "instance_id"} & set(outside)


def test_an_exception_is_in_the_record_and_a_line_stays_one_line(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up_logging("info", "json")
    logger.error("broke\nhere", exc_info=ValueError("why"), extra={"ts": "not the time"})
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert "ValueError: why" in said["exception"]
    assert isinstance(said["ts"], int)


def test_people_get_text(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logging("info", "text")
    logger.warning("slow", extra={"seconds": 3})
    assert capsys.readouterr().err.rstrip().endswith("warning slow seconds=3")


@pytest.mark.proves("SIGUSR1-STACKS")
def test_sigusr1_prints_stacks_while_the_loop_hangs_and_tasks_when_it_runs_again() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HANGING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, signal.SIGUSR1)
        first = process.stderr.readline()
        assert "most recent call first" in first
        rest = process.communicate("\n", timeout=20)[1]
    assert process.returncode == 0
    assert "task part:waits" in rest
    assert "in waits" in rest


def test_a_fact_with_line_breaks_stays_on_its_line(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logging("info", "text")
    logger.info("said", extra={"text": "one\n12:00:00 error forged"})
    (line,) = capsys.readouterr().err.splitlines()
    assert r"one\n12:00:00" in line
