"""Both SDKs make the same operations of the same mutations: fresh random programs are played by Python and by TypeScript."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import state_programs

ROOT = Path(__file__).parents[2]
REPLAY = ROOT / "typescript" / "agent" / "test" / "state" / "replay.ts"
OURS = ROOT / ".tools" / "bin" / "bun"
BUN = str(OURS) if OURS.exists() else shutil.which("bun")

PROGRAMS = 60
"""Of each kind."""

TIMEOUT_SECONDS = 60.0
"""For all programs; they take about a second."""


def seed() -> int:
    """`STATE_SEED=n` plays the programs of a failure again."""
    return int(os.environ.get("STATE_SEED") or random.SystemRandom().randrange(2**31))


def fresh_programs(chosen: int) -> list[dict[str, Any]]:
    lots = random.Random(chosen)
    kinds = [name.removesuffix(".jsonl") for name in state_programs.FILES]
    return [state_programs.drawn(lots, about, f"{about}-{n}") for about in kinds for n in range(PROGRAMS)]


def line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.proves("STATE-SAME-PROGRAMS")
@pytest.mark.skipif(BUN is None, reason="bun is not installed")
@pytest.mark.parametrize("table", ["object", "map"])
def test_fresh_programs_give_the_same_in_python_and_typescript(table: str) -> None:
    assert BUN is not None
    chosen = seed()
    print(f"STATE_SEED={chosen}")
    programs = fresh_programs(chosen)
    asked = "\n".join(line({key: program[key] for key in ("name", "before", "steps")}) for program in programs)
    answer = subprocess.run(
        [BUN, REPLAY, table], input=asked, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert answer.returncode == 0, answer.stderr
    outcomes = [json.loads(outcome) for outcome in answer.stdout.splitlines()]
    assert len(outcomes) == len(programs)
    for program, outcome in zip(programs, outcomes, strict=True):
        assert line(outcome) == line({"ops": program["ops"], "after": program["after"]}), program["name"]
