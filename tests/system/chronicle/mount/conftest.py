"""Mounts for the tests of this directory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from chronicle.mount import probe
from tests.system.chronicle.mount.serving import Serving, served


@pytest.fixture(autouse=True)
def _needs_fuse() -> None:
    abilities = probe()
    if not abilities.fuse:
        pytest.skip(f"no FUSE here: {abilities.how}")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Starts mounts in processes of their own; they end with the test."""
    with ExitStack() as stack:
        places = iter(range(100))

        def start(**options: Any) -> Serving:
            return stack.enter_context(served(tmp_path / str(next(places)), **options))

        yield start
