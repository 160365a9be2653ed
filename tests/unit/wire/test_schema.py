"""The schemas in `spec/schema` are what the wire types say, and real messages satisfy them."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from podium.wire import events
from podium.wire.envelope import EventRow, FrameWriter
from podium.wire.schema import schemas

ROOT = Path(__file__).parents[3]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_schemas", ROOT / "tools" / "generate_schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check(document: dict[str, Any], ref: dict[str, Any], value: object) -> None:
    jsonschema.validate(value, {**ref, "$defs": document["$defs"]})


def test_the_committed_schemas_are_fresh() -> None:
    assert _generator().stale() == []


def test_every_canonical_event_with_typed_content_has_a_schema() -> None:
    typed = {name for name, kind in events.CONTENT_TYPES.items() if kind is not None}
    assert typed <= set(schemas()["events.schema.json"]["contents"])


def test_a_frame_satisfies_the_envelope_schema() -> None:
    document = schemas()["events.schema.json"]
    frame = FrameWriter("agt-1").write(EventRow(7, "stream_update", b'{"text":"hi"}', "inst-1", "turn-1", 5))
    _check(document, document["properties"]["envelope"], json.loads(frame))


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ({"type": "process_message", "content": {"text": "x"}}, True),
        ({"type": "answer", "content": {"request_id": "r", "dismissed": True}}, True),
        ({"type": "answer", "content": {}}, False),
        ({"type": "steer"}, False),
    ],
)
def test_commands_are_told_right_from_wrong_by_the_schema(command: dict[str, Any], allowed: bool) -> None:
    document = schemas()["commands.schema.json"]
    if allowed:
        _check(document, document["properties"]["command"], command)
    else:
        with pytest.raises(jsonschema.ValidationError):
            _check(document, document["properties"]["command"], command)
