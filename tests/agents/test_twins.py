"""Every agent of the tests is there in each language, and what is written in TypeScript, the examples too, has right types."""

import subprocess
from pathlib import Path

import pytest

from podium.base.bun import find_bun
from tests.agents import DIRECTORY, SUFFIXES, names
from tests.bun import needs_bun

ROOT = Path(__file__).parents[2]
COMPILER = ROOT / "typescript" / "node_modules" / "typescript" / "bin" / "tsc"
SECONDS = 60


def test_every_agent_has_its_twin() -> None:
    missing = [
        f"{name}{suffix}"
        for name in names()
        for suffix in SUFFIXES.values()
        if not (DIRECTORY / (name + suffix)).exists()
    ]
    assert missing == []
    assert len(names()) > 5


@needs_bun
@pytest.mark.skipif(not COMPILER.exists(), reason="run `bun install` in typescript/")
def test_their_types_hold() -> None:
    command = [str(find_bun()), str(COMPILER), "--pretty", "false", "-p", str(DIRECTORY)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (told.returncode, told.stdout) == (0, "")
