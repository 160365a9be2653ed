"""Writes docs/reference/client-protocol.md from the types of `diminuendo.protocol`; with `--check` only says whether it is fresh."""

import inspect
import itertools
import sys
import types
import typing
from pathlib import Path
from typing import Any, Final

import msgspec

from diminuendo.domain.events import EVENT_TYPES
from diminuendo.protocol.answers import ANSWER_TYPES
from diminuendo.protocol.errors import Code
from diminuendo.protocol.messages import MESSAGE_TYPES

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "client-protocol.md"

HEAD: Final = """\
# Client protocol

Made by `tools/generate_client_protocol.py` from the types; do not edit. The same as JSON Schema:
[client-protocol.schema.json](../../spec/schema/client-protocol.schema.json). How to use it: [Talk to agents through Diminuendo](../howto/run-diminuendo.md).

`GET /ws` of Diminuendo is a WebSocket without compression. Each text frame is one JSON object with a `type`, of at most 1 MiB. Names are
camelCase, times epoch milliseconds. The server begins with `welcome` and `connected`; the client says `authenticate` within ten seconds.
Every message may carry a `requestId` (a text), which its answer carries, too. A field the server does not know refuses the message.

Events carry `sessionId`, `turnId` (null outside of a turn), `seq` (counts per session from 1 without gaps) and `ts`. After a connection
is lost, `join_session` with `afterSeq` gives what was missed, each event once.

| close code | why |
| --- | --- |
| 1009 | a message was larger than 2 MiB; above 1 MiB it is answered by `MESSAGE_TOO_LARGE` |
| 1012 | Diminuendo stops, or the session moves: connect again, join with `afterSeq` |
| 4400 | another version of the protocol |
| 4401 | no valid token in time, or it has ended |
| 4408 | answers are not read |
| 4429 | hundreds of messages over the rate limit |
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    parts += ["\n## What a client sends\n", *(_section(kind, {"request_id"}) for kind in MESSAGE_TYPES)]
    parts += ["\n## What it is answered\n", *(_section(kind, {"request_id"}) for kind in ANSWER_TYPES)]
    common = {"session_id", "turn_id", "seq", "ts"}
    parts += ["\n## Events\n", *(_section(kind, common) for kind in EVENT_TYPES)]
    parts += ["\n## Codes of `error`\n\n| code | meaning |\n| --- | --- |\n", *_codes()]
    return "".join(parts)


def _section(kind: type[Any], common: set[str]) -> str:
    """One message: its name, what it means, its own fields."""
    tag = kind.__struct_config__.tag
    meaning = inspect.getdoc(kind) or ""
    for field in msgspec.structs.fields(kind):
        meaning = meaning.replace(f"`{field.name}`", f"`{field.encode_name}`")
    lines = [f"\n### `{tag}`\n", f"\n{meaning}\n"]
    hints = typing.get_type_hints(kind)
    own = [field for field in msgspec.structs.fields(kind) if field.name not in common or tag == "answer_question"]
    if own:
        lines.append("\n| field | type | |\n| --- | --- | --- |\n")
        lines += [
            f"| `{f.encode_name}` | {_shown(hints[f.name])} | {'' if f.required else 'optional'} |\n" for f in own
        ]
    return "".join(lines)


def _shown(hint: Any) -> str:
    """A type as people read it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (types.UnionType, typing.Union):
        shown = [_shown(part) for part in arguments if part not in (type(None), msgspec.UnsetType)]
        return " or ".join(dict.fromkeys(shown)) + (" or null" if type(None) in arguments else "")
    if origin is list:
        return f"list of {_shown(arguments[0])}"
    if origin is dict or hint is Any:
        return "object" if origin is dict else "any"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        tag = hint.__struct_config__.tag
        return f"[`{tag}`](#{tag})" if tag else _inner(hint)
    names = {str: "text", int: "integer", float: "number", bool: "boolean", msgspec.Raw: "event"}
    return names.get(hint, "text")


def _inner(kind: type[msgspec.Struct]) -> str:
    names = ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(kind))
    return f"{kind.__name__} {{{names}}}"


def _codes() -> list[str]:
    """The codes, each with the sentence below it in the source."""
    lines = inspect.getsource(Code).splitlines()
    meaning = {
        line.split(" = ")[0].strip(): after.strip().strip('"').rstrip(".")
        for line, after in itertools.pairwise(lines)
        if " = " in line
    }
    return [f"| `{code.value}` | {meaning[code.name]} |\n" for code in Code]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.exists() and PAGE.read_text() == page() else f"{PAGE} is not fresh: run {sys.argv[0]}")
    PAGE.write_text(page())
