"""An agent's directory: its manifest, and which of its files belong to the bundle."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from podium.base.bun import find_bun, link_sdk
from podium.wire.manifest import MANIFEST_NAME, Manifest, ManifestError, parse_manifest

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_NAMES: Final = (".gitignore", ".podiumignore")
"""Files of ignore patterns; one deeper in the tree, and `.podiumignore` of the same directory, wins."""

TRANSPILE_SECONDS: Final = 60.0
"""How long reading all TypeScript files may take; a hundred take some tens of milliseconds."""

_SCRIPTS: Final = frozenset({".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"})

ALWAYS_IGNORED: Final = (
    ".git/", ".hg/", ".venv/", "venv/", "__pycache__/", "*.py[co]", ".podium/", "node_modules/",
    ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".DS_Store", "*.swp", ".idea/", ".vscode/",
)  # fmt: skip
"""Never part of a bundle."""


class Project:
    """An agent's directory with a good manifest."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = read_manifest(directory)

    def files(self) -> list[PurePosixPath]:
        """What goes into the bundle, relative to the directory, sorted."""
        return sorted(_walk(self.directory, PurePosixPath(), [(PurePosixPath(), _spec(ALWAYS_IGNORED))]))

    def check(self, files: list[PurePosixPath]) -> None:
        """Finds what the server, or the agent's start, would find later.

        Raises:
            ManifestError: the entry does not exist among `files`, or a TypeScript file can't be read (where there is a Bun to try it).
            SyntaxError: a Python file can't be compiled.
        """
        manifest = self.manifest
        candidates = _entry_files(manifest)
        if not any(PurePosixPath(name) in files for name in candidates):
            names = " or ".join(candidates)
            raise ManifestError(f"agent.entry {manifest.entry!r}: there is no {names} in {self.directory}")
        for path in files:
            if path.suffix == ".py":
                compile((self.directory / path).read_bytes(), str(self.directory / path), "exec", dont_inherit=True)
        scripts = [self.directory / path for path in files if path.suffix in _SCRIPTS]
        if manifest.runtime == "typescript" and scripts:
            _transpile(scripts)


def read_manifest(directory: Path) -> Manifest:
    """The checked manifest of a directory.

    Raises:
        ManifestError: there is none, or it is refused.
    """
    try:
        text = (directory / MANIFEST_NAME).read_bytes()
    except FileNotFoundError as error:
        raise ManifestError(
            f"there is no {MANIFEST_NAME} in {directory}; `podium new NAME` makes an agent that works"
        ) from error
    return parse_manifest(text)


def provide_sdk(directory: Path) -> None:
    """Has editors and tests in an agent's directory find `@podium/ts`: by a link in its `node_modules`, where there is none.

    Raises:
        ManifestError: see `read_manifest`.
    """
    if read_manifest(directory).runtime == "typescript":
        with contextlib.suppress(OSError):  # deploying works without it
            link_sdk(directory)


def _transpile(scripts: list[Path]) -> None:
    """Has Bun read the files, each alone: nothing is imported, nothing runs.

    Raises:
        ManifestError: one can't be read, with Bun's words: file, line, column, reason.
    """
    bun = find_bun()
    if bun is None:
        return
    with tempfile.TemporaryDirectory(prefix="podium-check-") as scratch:
        done = subprocess.run(
            [bun, "build", "--no-bundle", *scripts, "--outdir", scratch],
            capture_output=True, text=True, errors="replace", timeout=TRANSPILE_SECONDS, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise ManifestError(f"it would not run:\n{(done.stderr or done.stdout).strip()}")


def _entry_files(manifest: Manifest) -> list[str]:
    if manifest.runtime == "typescript":
        return [manifest.entry.partition(":")[0].removeprefix("./")]
    module = manifest.entry.partition(":")[0].replace(".", "/")
    return [f"{module}.py", f"{module}/__init__.py"]


def _walk(
    root: Path, below: PurePosixPath, specs: "list[tuple[PurePosixPath, GitIgnoreSpec]]"
) -> Iterator[PurePosixPath]:
    here = [*specs, *((below, spec) for spec in _specs_of(root / below))]
    with os.scandir(root / below) as entries:
        for entry in entries:
            path = below / entry.name
            is_directory = entry.is_dir(follow_symlinks=False)
            if _ignored(path, here, is_directory=is_directory):
                continue
            if is_directory:
                yield from _walk(root, path, here)
            elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                yield path


def _ignored(path: PurePosixPath, specs: "list[tuple[PurePosixPath, GitIgnoreSpec]]", *, is_directory: bool) -> bool:
    ignored = False
    for base, spec in specs:
        relative = str(path.relative_to(base)) + ("/" if is_directory else "")
        found = spec.check_file(relative).include
        ignored = ignored if found is None else found
    return ignored


def _specs_of(directory: Path) -> "Iterator[GitIgnoreSpec]":
    for name in IGNORE_NAMES:
        file = directory / name
        if file.is_file():
            yield _spec(file.read_text(errors="replace").splitlines())


def _spec(lines: "tuple[str, ...] | list[str]") -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)
