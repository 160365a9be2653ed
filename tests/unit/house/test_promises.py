"""Promises and proofs know each other, in both directions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises import OPEN, PROMISES

TESTS = Path(__file__).parents[2]


def proofs(root: Path) -> Iterator[tuple[str, str]]:
    """Each `mark.proves` in the test files below `root`: promise and file. Read, not run: a skipped test counts."""
    for path in sorted(root.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "proves":
                for argument in node.args:
                    yield str(ast.literal_eval(argument)), path.name


def disagreements(root: Path, promises: set[str], still_open: set[str]) -> list[str]:
    """Where promises and proofs differ, in words."""
    found = list(proofs(root))
    proved = {promise for promise, _ in found}
    return [
        *(f"{name} proves {promise}, which nobody promised" for promise, name in found if promise not in promises),
        *(f"{promise} has no proof and is not open" for promise in sorted(promises - proved - still_open)),
        *(f"{promise} is proved and no longer open" for promise in sorted(proved & still_open)),
        *(f"{promise} is open, but nobody promised it" for promise in sorted(still_open - promises)),
    ]


def test_every_promise_is_proved_or_open_and_every_proof_is_of_a_promise() -> None:
    assert disagreements(TESTS, set(PROMISES), set(OPEN)) == []


@pytest.mark.parametrize(
    ("promises", "still_open", "said"),
    [
        (set(), set(), "test_a.py proves X"),
        ({"X", "Y"}, set(), "Y has no proof"),
        ({"X"}, {"X"}, "X is proved and no longer open"),
        ({"X"}, {"Z"}, "Z is open, but nobody promised it"),
    ],
)
def test_each_disagreement_is_found(tmp_path: Path, promises: set[str], still_open: set[str], said: str) -> None:
    (tmp_path / "test_a.py").write_text("import pytest\n@pytest.mark.proves('X')\ndef test_it():\n    pass\n")
    assert any(said in line for line in disagreements(tmp_path, promises, still_open))
