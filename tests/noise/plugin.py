"""The pytest plugin that refuses noise.

A test fails when, after its teardown, more is held than before its body ran: child processes (orphans included, since
this process adopts them), descriptors, threads, mounts, files in the temporary directory; when it left asyncio tasks
to be cancelled by the closing loop; and when anything was logged at WARNING or above that no `noisy` mark announced.
What fixtures of a wider scope hold is taken into the account before the body, so that they may live on.

What is slow on a busy machine is no noise: examples of Hypothesis have no deadline.
"""

import asyncio
import asyncio.runners
import gc
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

from tests.noise import leaks

GRACE_SECONDS = 3.0
"""How long what is being closed may take to be gone."""

_left_tasks: list[str] = []
_records: list[logging.LogRecord] = []
_before = pytest.StashKey[leaks.Held]()


class _Recorder(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _records.append(record)


def pytest_configure(config: pytest.Config) -> None:
    """Adopts orphans, gives this process a temporary directory of its own, listens to logs and to closing loops."""
    leaks.adopt_orphans()
    hypothesis.settings.register_profile("podium", deadline=None)
    hypothesis.settings.load_profile("podium")
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    own = tempfile.mkdtemp(prefix="podium-tests-")
    os.chmod(own, 0o755)  # agents run under other user ids
    tempfile.tempdir = os.environ["TMPDIR"] = own
    config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))
    recorder = _Recorder(logging.WARNING)
    logging.getLogger().addHandler(recorder)
    config.add_cleanup(lambda: logging.getLogger().removeHandler(recorder))
    original = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
        _left_tasks.extend(task.get_name() + " " + repr(task.get_coro()) for task in asyncio.all_tasks(loop))
        original(loop)

    asyncio.runners._cancel_all_tasks = cancel_all_tasks  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Forgets what was noted before this test."""
    _records.clear()
    _left_tasks.clear()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Takes the account before the body, with all fixtures in place."""
    if not leaks.own_places:
        leaks.own_places.append(str(item.config._tmp_path_factory.getbasetemp()))  # type: ignore[attr-defined]
    item.stash[_before] = leaks.take()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Compares after everything was torn down; a leak fails the test and is cleaned up."""
    result = yield
    before = item.stash.get(_before, None)
    if before is None:
        return result
    allowed = {kind for mark in item.iter_markers("leaves") for kind in mark.args}
    findings = [f"{kind}: {', '.join(what)}" for kind, what in _after_grace(before, allowed).items()]
    if "processes" not in allowed:
        leaks.kill_children(set(before.processes))
    if _left_tasks and "tasks" not in allowed:
        findings.append(f"tasks: {', '.join(_left_tasks)}")
    findings += _unexpected_logs(item)
    if findings:
        pytest.fail("noise:\n" + "\n".join(findings), pytrace=False)
    return result


def _after_grace(before: leaks.Held, allowed: set[str]) -> dict[str, list[str]]:
    end = time.monotonic() + GRACE_SECONDS
    collected = False
    while True:
        found = {kind: what for kind, what in leaks.take().more_than(before).items() if kind not in allowed}
        if not found or time.monotonic() > end:
            return found
        if not collected:
            gc.collect()
            collected = True
        time.sleep(0.02)


def _unexpected_logs(item: pytest.Item) -> list[str]:
    expected = [pattern for mark in item.iter_markers("noisy") for pattern in mark.args]
    unexpected = []
    for record in _records:
        said = f"{record.name} {record.levelname} {record.getMessage()}"
        if not any(re.search(pattern, said) for pattern in expected):
            unexpected.append(f"log: {said}")
    return unexpected


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing a test run started outlives it."""
    end = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < end and _own(leaks.take().processes):
        time.sleep(0.02)
    left = _own(leaks.take().processes)
    if left and not hasattr(session.config, "workerinput") and session.config.option.dist == "no":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\nprocesses outlived the run:", *left.values(), sep="\n  ")
        leaks.kill_children(set())


def _own(processes: dict[str, str]) -> dict[str, str]:
    return {pid: what for pid, what in processes.items() if "resource_tracker" not in what}
