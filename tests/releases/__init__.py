"""What earlier releases left behind: their data, and their code as git has it."""

import subprocess
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path(__file__).parent
ROOT: Final = DIRECTORY.parents[1]

PREVIOUS: Final = "d8d6742d17c81159ab1faa558b358db434609fb3"
"""The commit of the previous release, 0.1.0."""

DATA: Final = DIRECTORY / "0.1.0.tar.xz"
"""A data directory of it, as `python -m tests.releases.make` made it, with what its agents said (`said.json`)."""


def code_of(commit: str, directory: Path) -> Path | None:
    """The sources of a commit, unpacked; None where git does not have it (a shallow clone, no clone at all)."""
    made = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "src", "typescript/agent"], capture_output=True, check=False
    )
    if made.returncode != 0:
        return None
    unpack(made.stdout, directory)
    return directory / "src"


def unpack(archive: bytes, directory: Path) -> None:
    """Unpacks a tar file, compressed or not, that is ours."""
    directory.mkdir(parents=True, exist_ok=True)
    compressed = ["--xz"] if archive.startswith(b"\xfd7zXZ") else []
    subprocess.run(["tar", "--xattrs", "-x", *compressed, "-C", str(directory)], input=archive, check=True)
