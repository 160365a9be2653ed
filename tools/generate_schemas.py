"""Writes the JSON Schemas of the wire into `spec/schema/`; with `--check` only says whether they are fresh."""

import json
import sys
from pathlib import Path

from diminuendo.protocol.schema import schemas as client_schemas
from podium.wire.schema import schemas

DIRECTORY = Path(__file__).parent.parent / "spec" / "schema"


def rendered() -> dict[Path, str]:
    """Path → text of every schema file as it should be."""
    return {
        DIRECTORY / name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in {**schemas(), **client_schemas()}.items()
    }


def stale() -> list[Path]:
    """Files that are missing, different or no longer made."""
    wanted = rendered()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return wrong + [path for path in sorted(DIRECTORY.glob("*.json")) if path not in wanted]


def main(arguments: list[str]) -> int:
    """Writes, or checks with `--check`; exit code 1 when a check finds something stale."""
    if "--check" in arguments:
        for path in stale():
            print(f"stale: {path.name}; run python tools/generate_schemas.py", file=sys.stderr)
        return 1 if stale() else 0
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for path, text in rendered().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
