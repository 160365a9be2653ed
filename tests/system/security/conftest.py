"""A platform as an operator has it: agents and installers can pass through its data directory."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemons import Daemons


@pytest.fixture(scope="module")
def daemons() -> Iterator[Daemons]:
    """Isolates by process, unless a module says otherwise."""
    with open_platform("process") as running:
        yield running


@contextlib.contextmanager
def open_platform(isolation: str) -> Iterator[Daemons]:
    """A platform whose data directory may be passed through, as `podium up` makes it (0711), everything before it too."""
    directory = Path(tempfile.mkdtemp(prefix="podium-open-", dir="/tmp"))
    directory.chmod(0o755)
    running = Daemons(directory, {"PODIUM_ISOLATION": isolation})
    running.data.mkdir(mode=0o711)
    running.data.chmod(0o711)
    try:
        asyncio.run(running.start_all())
        yield running
    finally:
        running.close()
        shutil.rmtree(directory, ignore_errors=True)
