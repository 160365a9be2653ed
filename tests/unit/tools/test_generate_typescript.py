"""The generated TypeScript is fresh, and the generator writes what a schema says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from podium.wire import events

ROOT = Path(__file__).parents[3]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_typescript", ROOT / "tools" / "generate_typescript.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_types_are_fresh() -> None:
    assert _generator().stale() == []


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "string"}, "string"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "number | null"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "(string | null)[]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "Record<string, string>"),
        ({"enum": ["a", "b"]}, '"a" | "b"'),
        ({"$ref": "#/$defs/Origin"}, "Origin"),
        ({}, "unknown"),
    ],
)
def test_a_schema_becomes_the_type_it_means(schema: dict[str, Any], written: str) -> None:
    assert _generator().type_of(schema) == written


def test_a_schema_it_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="no TypeScript for"):
        _generator().type_of({"type": "tuple"})


def test_what_an_agent_may_emit_is_the_same_in_both_languages() -> None:
    text = (ROOT / "typescript" / "agent" / "src" / "wire" / "events.ts").read_text()
    listed = re.search(r"AGENT_EVENTS = \[(.*?)\]", text, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"([^"]+)"', listed[1])) == events.AGENT_EVENTS
