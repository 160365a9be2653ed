"""Lock files name only the public default registries."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ALLOWED = frozenset({"pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "github.com", "opencollective.com"})
NAMES = ("uv.lock", "package-lock.json", "bun.lock", "deploy_tools.lock")
_HOST = re.compile(r"https?://([^/\"'\s]+)")


def findings(root: Path) -> Iterator[str]:
    """Foreign hosts in the lock files below `root`, in words."""
    for name in NAMES:
        for path in sorted(root.rglob(name)):
            if {".venv", ".tools", "node_modules"} & set(path.parts):
                continue
            for host in sorted(set(_HOST.findall(path.read_text())) - ALLOWED):
                yield f"{path}: names {host}"


def main(arguments: list[str]) -> int:
    """Prints the findings; 1 when there are any."""
    found = list(findings(Path(arguments[0] if arguments else ".")))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
