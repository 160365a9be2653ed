"""What `podium dev` tells of a log."""

import pytest

from podium.cli.development.reloading import behind


@pytest.mark.parametrize(
    ("earlier", "later", "fresh"),
    [
        ([], ["a", "b"], ["a", "b"]),
        (["a", "b"], ["a", "b"], []),
        (["a", "b"], ["a", "b", "note", "a", "b"], ["note", "a", "b"]),
        (["a", "b", "c"], ["b", "c", "d"], ["d"]),
        (["a", "b", "c"], ["x", "y", "z"], ["x", "y", "z"]),
        (["a", "a"], ["a", "a", "a"], ["a"]),
    ],
)
def test_of_a_log_only_what_is_behind_the_lines_told_before_is_told(
    earlier: list[str], later: list[str], fresh: list[str]
) -> None:
    assert behind(earlier, later) == fresh
