"""The project stands alone: no path of one machine, no private host, in any tracked file."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_FORBIDDEN = re.compile(r"(?<![\w.])/(?:work|farm|home/\w+)/|\.\./sha" r"red|\.lib" r"rary/|/opt/(?:py" r"pi|wheels)")
_BINARY = frozenset({".png", ".gz", ".db", ".ico", ".woff2"})


def tracked(root: Path) -> list[Path]:
    """The files git tracks below `root`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    return [root / name for name in listed.decode().split("\0") if name]


def findings(paths: list[Path]) -> Iterator[str]:
    """Lines that speak of a place outside the project, in words."""
    for path in paths:
        if path.suffix in _BINARY or not path.is_file() or path.name == "uv.lock":
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if _FORBIDDEN.search(line) and "check_places" not in str(path):
                yield f"{path}:{number}: {line.strip()[:120]}"


def main() -> int:
    """Prints the findings; 1 when there are any."""
    found = list(findings(tracked(Path())))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
