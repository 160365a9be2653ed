"""Pages of differences: each is made with a bounded amount of work, whatever differs, however large the tree is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronicle import Workspace
from chronicle.model.iterations import Difference
from podium.coordinator.api import workspaces
from podium.coordinator.api.workspaces import difference_page
from podium.wire.errors import PodiumError
from podium.wire.files import DiffQuery

LOOKS = 10


class Counting:
    """The library, and how many paths were looked at in it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.looks = 0

    @property
    def head(self) -> int:
        return self._workspace.head

    def compare(
        self, before: int, after: int | None = None, path: str | bytes = b"", *, behind: str | bytes | None = None
    ) -> Iterator[tuple[bytes, Difference | None]]:
        for each in self._workspace.compare(before, after, path, behind=behind):
            self.looks += 1
            yield each


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """60 files in 6 directories, recorded as one change after the other."""
    monkeypatch.setattr(workspaces, "LOOKS", LOOKS)
    with Workspace.create(tmp_path / "ws") as made:
        for number in range(60):
            made.put(f"d{number % 6}/f{number}", b"first")
        yield made


def pages(workspace: Workspace, query: DiffQuery, path: bytes = b"") -> tuple[list[list[str]], int]:
    """All pages by their paths, and the most paths that were looked at for one."""
    found, most, cursor = [], 0, query.cursor
    while True:
        library = Counting(workspace)
        page = difference_page(library, DiffQuery(query.from_, query.to, query.path, query.limit, cursor), path)  # type: ignore[arg-type]
        found.append([each.path for each in page.differences])
        most = max(most, library.looks)
        cursor = page.next_cursor
        if cursor is None:
            return found, most


def test_a_large_comparison_comes_in_pages_that_took_little_each(workspace: Workspace) -> None:
    found, most = pages(workspace, DiffQuery(from_=0, limit=7))
    every = [path for page in found for path in page]
    assert sorted(every) == sorted(each.path.decode() for each in workspace.diff(0))
    assert len(every) == len(set(every)) == 66
    assert max(map(len, found)) == 7
    assert most <= LOOKS


def test_a_tree_that_has_hardly_changed_is_looked_through_in_bounded_steps(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = workspace.head
    workspace.put("d5/f59", b"second")
    assert pages(workspace, DiffQuery(from_=before, limit=5)) == ([["d5/f59"]], 3)  # `d5`, and the root, lead there
    monkeypatch.setattr("chronicle.store.history.comparing.Comparison.__init__.__defaults__", (0,))
    found, most = pages(workspace, DiffQuery(from_=before, limit=5))
    assert [path for page in found for path in page] == ["d5/f59"]
    assert len(found) > 5
    assert most <= LOOKS


def test_only_what_is_asked_for_is_compared_and_foreign_cursors_are_refused(workspace: Workspace) -> None:
    found, _ = pages(workspace, DiffQuery(from_=0, path="d1", limit=100), b"d1")
    assert {path.partition("/")[0] for page in found for path in page} == {"d1"}
    with pytest.raises(PodiumError):
        pages(workspace, DiffQuery(from_=0, cursor="1.2"))
    assert pages(workspace, DiffQuery(from_=workspace.head, limit=5)) == ([[]], 0)
