"""JSON Schema of the client protocol, for those who write a client in another language."""

from typing import Any, Final

import msgspec

from diminuendo.domain.events import EVENT_TYPES, ClientEvent
from diminuendo.protocol.answers import ANSWER_TYPES
from diminuendo.protocol.messages import MESSAGE_TYPES

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """File name → schema: what a client sends, what it is answered, and the events, each by its `type`."""
    groups = {"messages": MESSAGE_TYPES, "answers": ANSWER_TYPES, "events": EVENT_TYPES}
    kinds: list[type[Any]] = [kind for group in groups.values() for kind in group]
    refs, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    by_kind = dict(zip(kinds, refs, strict=True))
    document: dict[str, Any] = {"$schema": _DIALECT, "title": "Client protocol of Diminuendo, version 1"}
    for name, group in groups.items():
        document[name] = {_tag(kind): by_kind[kind] for kind in group}
    document["$defs"] = dict(sorted(components.items()))
    return {"client-protocol.schema.json": document}


def _tag(kind: type[ClientEvent] | type[Any]) -> str:
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
