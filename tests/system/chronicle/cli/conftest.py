"""The command as users run it, with a background process of this test's own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chronicle.daemon.client import Daemon
from tests.chronicle_mounts import needs_fuse
from tests.noise.leaks import children
from tests.waiting import until


@dataclass
class Command:
    """Runs `chronicle` in `directory`."""

    directory: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, at: str = ".", code: int = 0, given: bytes | None = None) -> str:
        """What it printed; its exit code has to be `code`. Errors are appended."""
        done = subprocess.run(
            [sys.executable, "-m", "chronicle.cli", *arguments],
            cwd=self.directory / at,
            env=self.environment,
            input=given,
            capture_output=True,
            check=False,
        )
        said = done.stdout.decode(errors="surrogateescape") + done.stderr.decode(errors="surrogateescape")
        assert done.returncode == code, said
        return said

    def json(self, *arguments: str, at: str = ".") -> Any:
        """Its answer as JSON."""
        return json.loads(self(*arguments, "--json", at=at))

    def lines(self, *arguments: str, at: str = ".") -> list[Any]:
        """Its answer as JSON lines."""
        return [json.loads(line) for line in self(*arguments, "--json", at=at).splitlines()]


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Command]:
    """The command; afterwards its background process has ended."""
    needs_fuse()
    before = set(children())
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    work = tmp_path / "work"
    work.mkdir()
    yield Command(work, {**os.environ, "XDG_RUNTIME_DIR": str(run)})
    daemon = Daemon(run / "chronicle")
    if daemon.running:
        daemon.stop()
    daemon.close()
    until(lambda: not (run / "chronicle" / "chronicled.sock").exists())
    for pid in set(children()) - before:
        until(lambda pid=pid: _reaped(pid))  # type: ignore[misc]


def _reaped(pid: int) -> bool:
    """Orphans of commands are children of this process."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
