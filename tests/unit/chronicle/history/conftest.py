"""A history, checked when the test is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle.store.history import History
from chronicle.store.history.check import check
from tests.unit.chronicle.history.trees import Teller


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.create(tmp_path / "history") as history:
        yield history
        assert list(check(history)) == []


@pytest.fixture
def teller(history: History) -> Teller:
    return Teller(history)
