"""What the docs tell people to type about containers."""

import re
import shlex
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
DOCKER: Final = ROOT / "docs" / "howto" / "deploy-with-docker.md"


def run_line() -> list[str]:
    """The words of the documented `docker run`, without comments."""
    match = re.search(r"^docker run (?:.*\\\n)*.*$", DOCKER.read_text(), re.MULTILINE)
    assert match is not None, f"{DOCKER} has no `docker run`"
    return shlex.split(re.sub(r"\\\s*#[^\n]*\n", "\\\n", match[0]).replace("\\\n", " "))


def variables_of_run_line() -> dict[str, str]:
    """The variables it gives, as they are written there."""
    words = run_line()
    given = [words[at + 1] for at, word in enumerate(words) if word == "-e"]
    return dict(pair.split("=", 1) for pair in given)
