"""Runs calls against scenes on two file systems, as one of three users, and reports where they differ.

A trial runs in a forked child: it changes its user, its umask and its working directory as it likes, and a hanging mount can
be given up without hanging the tests.
"""

import json
import os
import select
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.conformance.chronicle.calls import Call, PairCall, outcome
from tests.conformance.chronicle.scenery import OTHER, OWNER, Scene, snapshot

TRIAL_SECONDS: Final = 60.0
"""A trial that takes longer hangs."""

USERS: Final = {"root": 0, "owner": OWNER, "other": OTHER}


def in_a_child(work: Callable[[], list[str]]) -> list[str]:
    """What `work` returns, from a forked child that is killed when it takes too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            try:
                answer = work()
            except BaseException:  # noqa: BLE001 - the child's failure is the parent's finding
                answer = [traceback.format_exc()]
            with os.fdopen(writing, "w") as pipe:
                json.dump(answer, pipe)
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writing)
    said = b""
    try:
        while True:
            if not select.select([reading], [], [], TRIAL_SECONDS)[0]:
                os.kill(child, signal.SIGKILL)
                return [f"nothing came back within {TRIAL_SECONDS:.0f} s"]
            piece = os.read(reading, 1 << 16)
            if not piece:
                break
            said += piece
    finally:
        os.close(reading)
        os.waitpid(child, 0)
    result: list[str] = json.loads(said or b'["the child died"]')
    return result


@contextmanager
def acting_as(user: int):  # type: ignore[no-untyped-def]
    """The effective user (and group) of this process, which must be root unless it stays what it is."""
    if os.geteuid() != 0 or user == 0:
        yield
        return
    os.setgroups([])
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _tried(root: Path, states: tuple[str, ...], call: Callable[..., object], user: int) -> tuple[object, object]:
    scene = Scene(root, *states)
    os.chdir(scene.root)
    try:
        with acting_as(user):
            answer = outcome(lambda: call(*scene.names))
        os.chdir(scene.root)
        return answer, snapshot(scene.root)
    finally:
        os.chdir("/")
        shutil.rmtree(root, onerror=_opened_up)


def _opened_up(_function: object, path: str, _error: object) -> None:
    os.chmod(os.path.dirname(path), 0o700)
    os.chmod(path, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def differences(
    plain: Path, mounted: Path, combinations: Sequence[tuple[str, ...]], call: Call | PairCall, user: int
) -> list[str]:
    """Where the mount answered or left behind something else than the plain directory did, one line each."""
    found = []
    os.umask(0o022)
    for states in combinations:
        expected = _tried(plain / "scene", states, call, user)
        actual = _tried(mounted / "scene", states, call, user)
        if expected[0] != actual[0]:
            found.append(f"{' + '.join(states)}: answers {actual[0]!r}, the host {expected[0]!r}")
        elif expected[1] != actual[1]:
            found.append(f"{' + '.join(states)}: leaves {_unlike(expected[1], actual[1])}")
    return found


def _unlike(expected: object, actual: object) -> str:
    assert isinstance(expected, dict)
    assert isinstance(actual, dict)
    paths = sorted(path for path in expected.keys() | actual.keys() if expected.get(path) != actual.get(path))
    return "; ".join(f"{path}: {actual.get(path)!r}, the host {expected.get(path)!r}" for path in paths)
