"""The agents that tests deploy, each written in every language: `echo.py` beside `echo.ts`.

What a test proves with one of them it proves for each language: it takes the fixture `runtime`, or fixtures that do, and is
marked `in_every_language` (or parametrised with `RUNTIMES`). A test whose property no language can change is not.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import pytest

from tests.bun import needs_bun

Runtime = Literal["python", "typescript"]

RUNTIMES: Final = ("python", pytest.param("typescript", marks=needs_bun))
"""The languages agents are written in."""

in_every_language: Final = pytest.mark.parametrize("runtime", RUNTIMES)

SUFFIXES: Final[dict[Runtime, str]] = {"python": ".py", "typescript": ".ts"}
DIRECTORY: Final = Path(__file__).parent


@dataclass(frozen=True)
class Source:
    """The one module of an agent. It names its agent class `Agent`; in TypeScript that is the default export."""

    runtime: Runtime
    code: str

    @property
    def file(self) -> str:
        """The name of its module."""
        return f"agent{SUFFIXES[self.runtime]}"

    @property
    def entry(self) -> str:
        """What its manifest says."""
        return "agent:Agent" if self.runtime == "python" else self.file

    def and_then(self, more: str) -> "Source":
        """The same with `more` at its end, a comment: other bytes, and nothing else."""
        mark = "#" if self.runtime == "python" else "//"
        return replace(self, code=f"{self.code}{mark} {more}\n")


def source(name: str, runtime: Runtime = "python") -> Source:
    """The agent `name` in a language."""
    return Source(runtime, (DIRECTORY / f"{name}{SUFFIXES[runtime]}").read_text())


def names() -> set[str]:
    """All that are written in at least one language."""
    found = {path.stem for suffix in SUFFIXES.values() for path in DIRECTORY.glob(f"*{suffix}")}
    return {name for name in found if not name.startswith(("_", "test_"))}
