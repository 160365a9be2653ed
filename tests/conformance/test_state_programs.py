"""The generated programs of mutations are fresh, and their operations lead where they say."""

import json
from pathlib import Path
from typing import Any

import pytest

from podium.wire import patch
from tools import state_programs


def programs() -> list[Any]:
    return [
        pytest.param(json.loads(line), id=json.loads(line)["name"])
        for path in sorted(state_programs.DIRECTORY.glob("*.jsonl"))
        for line in Path(path).read_text().splitlines()
    ]


@pytest.mark.proves("STATE-SAME-PROGRAMS")
@pytest.mark.parametrize("program", programs())
def test_a_program_gives_its_operations_and_they_give_its_state(program: dict[str, Any]) -> None:
    ops, after = state_programs.run(program["before"], program["steps"])
    assert (ops, after) == (program["ops"], program["after"])
    document: Any = program["before"]
    for batch in program["ops"]:
        document = patch.apply(document, patch.decode_ops(json.dumps(batch).encode()))
    assert document == program["after"]


def test_the_files_are_as_the_generator_makes_them() -> None:
    assert state_programs.stale() == []
