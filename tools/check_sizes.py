"""Sizes: a module, function or class that outgrows its limit is split by responsibility before it hurts.

The limits are the house style's; a name in `EXEMPT` may stay over them, and the list may only shrink.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_MAX = 800
MODULE_MEDIAN = 180
FUNCTION_MAX = 80
FUNCTION_MEDIAN = 10
CLASS_MAX = 400
METHODS_MAX = 40
EXEMPT: frozenset[str] = frozenset()


def _body(node: ast.AST) -> int:
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    first = node.body[0]
    doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    start = first.end_lineno if doc else node.lineno
    assert start is not None
    assert node.end_lineno is not None
    return node.end_lineno - start


def measure(path: Path) -> tuple[int, list[tuple[str, int]], list[tuple[str, int, int]]]:
    """Lines of a module; its functions with their body lines; its classes with lines and number of methods."""
    text = path.read_text()
    functions, classes = [], []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.append((node.name, _body(node)))
        elif isinstance(node, ast.ClassDef):
            methods = sum(isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) for child in node.body)
            protocol = any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
            classes.append((node.name, _body(node), 0 if protocol else methods))
    return text.count("\n"), functions, classes


def findings(root: Path) -> Iterator[str]:
    """What is too large below `root`, in words."""
    modules, bodies = [], []
    for path in sorted(root.rglob("*.py")):
        lines, functions, classes = measure(path)
        name = str(path)
        modules.append(lines)
        bodies += [size for _, size in functions]
        if lines > MODULE_MAX and name not in EXEMPT:
            yield f"{name}: {lines} lines, at most {MODULE_MAX}"
        for function, size in functions:
            if size > FUNCTION_MAX and f"{name}:{function}" not in EXEMPT:
                yield f"{name}: {function} has {size} lines, at most {FUNCTION_MAX}"
        for kind, size, methods in classes:
            if (size > CLASS_MAX or methods > METHODS_MAX) and f"{name}:{kind}" not in EXEMPT:
                yield f"{name}: class {kind} has {size} lines and {methods} methods, at most {CLASS_MAX} and {METHODS_MAX}"
    if modules and statistics.median(modules) > MODULE_MEDIAN:
        yield f"{root}: the median module has {statistics.median(modules)} lines, at most {MODULE_MEDIAN}"
    if bodies and statistics.median(bodies) > FUNCTION_MEDIAN:
        yield f"{root}: the median function has {statistics.median(bodies)} lines, at most {FUNCTION_MEDIAN}"


def main(arguments: list[str]) -> int:
    """Prints the findings below the given folders (default `src`); 1 when there are any."""
    found = [line for root in arguments or ["src"] for line in findings(Path(root))]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
