"""Which paths have no history."""

import pytest

from chronicle.model.errors import InvalidInputError
from chronicle.model.excludes import Excludes


@pytest.mark.parametrize(
    ("patterns", "path", "is_directory", "excluded"),
    [
        (["*.pyc"], b"a/b.pyc", False, True),
        (["*.pyc"], b"a/b.py", False, False),
        (["*.pyc", "!keep.pyc"], b"keep.pyc", False, False),
        (["node_modules/"], b"node_modules", True, True),
        (["node_modules/"], b"node_modules", False, False),
        (["node_modules/"], b"web/node_modules/left/index.js", False, True),
        (["/build"], b"build/x", False, True),
        (["/build"], b"src/build/x", False, False),
        (["target/", "!target/keep"], b"target/keep", False, True),
        (["target/*", "!target/keep"], b"target/keep", False, False),
        (["target/*", "!target/keep"], b"target/other", False, True),
        (["# a comment", ""], b"# a comment", False, False),
        (["caf\xe9"], "caf\xe9".encode(), False, True),
        (["*.bin"], b"\xff\xfe.bin", False, True),
        (["**/cache/**"], b"a/cache/b/c", False, True),
        ([], b".chronicle", True, True),
        ([], b".chronicle/at/3", False, True),
        ([], b"sub/.chronicle", False, False),
        (["*"], b"", True, False),
        (["*"], b"x", False, True),
    ],
)
def test_patterns_mean_what_gitignore_says(
    patterns: list[str], path: bytes, is_directory: bool, excluded: bool
) -> None:
    assert Excludes(patterns).excludes(path, is_directory) is excluded


def test_the_answer_for_a_directory_is_the_same_when_it_is_asked_again() -> None:
    excludes = Excludes(["out/"])
    assert [excludes.excludes(b"out/a"), excludes.excludes(b"out/a"), excludes.excludes(b"in/a")] == [True, True, False]


def test_a_path_of_two_thousand_levels_is_no_trouble() -> None:
    assert Excludes(["x/"]).excludes(b"/".join([b"a"] * 2000 + [b"x", b"f"]))


def test_more_directories_than_are_remembered_keep_their_answers() -> None:
    excludes = Excludes(["odd*/"])
    answers = [excludes.excludes(b"%s%d/f" % (b"odd" if n % 2 else b"even", n)) for n in range(10_000)]
    assert answers == [bool(n % 2) for n in range(10_000)]


def test_a_malformed_pattern_is_named() -> None:
    with pytest.raises(InvalidInputError, match="'!'"):
        Excludes(["fine", "!"])
