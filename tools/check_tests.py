"""Tests wait for conditions instead of sleeping, use fakes instead of mocks, and have sentences for names."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SLEEPS_PER_1000 = 6.0
MOCKS_PER_1000 = 1.5
WORDS_MIN = 3
_MAY_SLEEP = ("noise/plugin.py",)  # runs between tests, outside any loop, and polls /proc
_MOCKS = frozenset({"Mock", "MagicMock", "AsyncMock", "patch"})


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        owner = function.value.id if isinstance(function.value, ast.Name) else ""
        return f"{owner}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def look(path: Path) -> tuple[int, int, int, list[str]]:
    """Lines, sleeps, mocks, and findings that stand by themselves."""
    text = path.read_text()
    sleeps = mocks = 0
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = _called(node)
            if name == "time.sleep" and not str(path).endswith(_MAY_SLEEP):
                found.append(f"{path}: time.sleep blocks and guesses; wait for a condition")
            sleeps += name == "asyncio.sleep" and not _is_zero(node)
            mocks += name.rsplit(".", 1)[-1] in _MOCKS
        is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if is_test and len(node.name.split("_")) - 1 < WORDS_MIN:  # type: ignore[attr-defined]
            found.append(f"{path}: {node.name} is no sentence")  # type: ignore[attr-defined]
    return text.count("\n"), sleeps, mocks, found


def _is_zero(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0


def findings(root: Path) -> Iterator[str]:
    """What is wrong with the tests below `root`, in words."""
    lines = sleeps = mocks = 0
    for path in sorted(root.rglob("*.py")):
        more_lines, more_sleeps, more_mocks, found = look(path)
        lines, sleeps, mocks = lines + more_lines, sleeps + more_sleeps, mocks + more_mocks
        yield from found
    for what, count, limit in (("sleeps", sleeps, SLEEPS_PER_1000), ("mocks", mocks, MOCKS_PER_1000)):
        if lines and count * 1000 / lines > limit:
            yield f"{root}: {count} {what} in {lines} lines, at most {limit} per 1,000"


def main(arguments: list[str]) -> int:
    """Prints the findings below the given folders (default `tests`); 1 when there are any."""
    found = [line for root in arguments or ["tests"] for line in findings(Path(root))]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
