"""Writes the wire's TypeScript: types of `spec/schema/`, and the tables the schemas can't say.

With `--check` it only says whether the files in `typescript/*/src/wire/` are fresh.
"""

import ast
import itertools
import json
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from diminuendo.protocol import errors as session_errors
from diminuendo.protocol import limits as session_limits
from podium.wire import close, errors, events, limits, link

ROOT: Final = Path(__file__).parent.parent
SCHEMAS: Final = ROOT / "spec" / "schema"
LINE_MAX: Final = 120
HEAD: Final = "// Made by tools/generate_typescript.py from spec/schema and src/podium/wire; do not edit.\n\n"

AGENT_LIMITS: Final = ("FRAME_MAX_BYTES", "LINK_FRAME_MAX_BYTES", "LINK_AHEAD_MAX_BYTES")
CLIENT_LIMITS: Final = (
    "FRAME_MAX_BYTES",
    "PING_INTERVAL_SECONDS",
    "PEER_SILENT_SECONDS",
    "IDEMPOTENCY_KEY_MAX_CHARS",
    "PAGE_DEFAULT",
    "PAGE_MAX",
    "BUNDLE_MAX_BYTES",
    "REQUEST_BODY_MAX_BYTES",
)

SESSION_LIMITS: Final = ("PROTOCOL_VERSION", "MESSAGE_MAX_BYTES", "MESSAGES_MAX", "MESSAGES_WINDOW_MS", "PAGE_MAX")
SESSION_NAMES: Final = {"Error": "ErrorMessage", "Session": "SessionInfo"}
"""Types of the client protocol that have another name here: theirs is a global's, or that of a class."""
SESSION_HEAD: Final = (
    "// Made by tools/generate_typescript.py from spec/schema and src/diminuendo/protocol; do not edit.\n\n"
)

Schema = dict[str, Any]


def rendered() -> dict[Path, str]:
    """Path → text of every file as it should be."""
    documents = {path.name.split(".")[0]: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
    agent, client = ROOT / "typescript" / "agent" / "src" / "wire", ROOT / "typescript" / "client" / "src" / "wire"
    sessions = client.parent / "sessions" / "wire"
    protocol = _in_camel_case(documents["client-protocol"])
    event_types = _event_types(documents["events"])
    return {
        agent / "events.ts": event_types + _agent_events(),
        agent / "link.ts": _link_types(documents["agent-link"]),
        agent / "schemas.ts": _schema_tables(documents["events"], documents["agent-link"]),
        agent / "limits.ts": HEAD + _limits(limits, AGENT_LIMITS),
        client / "events.ts": event_types + _aliases(),
        client / "commands.ts": HEAD + _definitions(documents["commands"]) + _union(documents["commands"], "command"),
        client / "rest.ts": _rest_types(documents["rest"], documents["events"]),
        client / "errors.ts": _error_table(),
        client / "limits.ts": HEAD + _limits(limits, CLIENT_LIMITS),
        sessions / "messages.ts": SESSION_HEAD + _session_types(protocol, "messages", "ClientMessage"),
        sessions / "answers.ts": _session_answers(protocol),
        sessions / "events.ts": SESSION_HEAD + _session_types(protocol, "events", "SessionEvent"),
        sessions / "limits.ts": SESSION_HEAD + _limits(session_limits, SESSION_LIMITS) + "\n" + _session_codes(),
    }


def stale() -> list[Path]:
    """Files that are missing, different or no longer made."""
    wanted = rendered()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    present = [path for folder in sorted({path.parent for path in wanted}) for path in sorted(folder.glob("*.ts"))]
    return wrong + [path for path in present if path not in wanted]


# ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────


def type_of(schema: Schema) -> str:
    """The TypeScript type of a JSON Schema as `podium.wire.schema` writes it.

    Raises:
        ValueError: the schema uses what this does not know.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " | ".join(type_of(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind is None:
        return "unknown"
    if kind == "array":
        item = type_of(schema.get("items", {}))
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object":
        extra = schema.get("additionalProperties")
        return f"Record<string, {type_of(extra) if isinstance(extra, dict) else 'unknown'}>"
    plain = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
    if kind not in plain:
        raise ValueError(f"no TypeScript for {schema}")
    return plain[kind]


def _definitions(document: Schema, leave_out: frozenset[str] = frozenset()) -> str:
    return "".join(_definition(name, schema) for name, schema in document["$defs"].items() if name not in leave_out)


def _definition(name: str, schema: Schema, *, whole: bool = False) -> str:
    """`whole`: the sender writes members with a default, too, so that they are always there."""
    doc = _doc(schema.get("description", name))
    if "enum" in schema:
        return _wrapped_union(f"{doc}export type {name} =", [json.dumps(value) for value in schema["enum"]])
    properties: Schema = schema["properties"]
    if not properties:
        return f"{doc}export type {name} = Record<string, never>;\n\n"
    lines = [f"{doc}export interface {name} {{"]
    for member, kind in properties.items():
        is_there = member in schema.get("required", ()) or (whole and "default" in kind)
        optional = "" if is_there else "?"
        lines.append(f"  {member}{optional}: {type_of(kind)};")
    return "\n".join(lines) + "\n}\n\n"


def _union(document: Schema, name: str) -> str:
    schema = document["properties"][name]
    title = "".join(part.capitalize() for part in name.split("_"))
    members = [type_of(option) for option in schema["anyOf"]]
    return _wrapped_union(f"{_doc(f'Any of them, told apart by `type`: {name}.')}export type {title} =", members)


def _session_types(document: Schema, group: str, union: str, known: frozenset[str] = frozenset()) -> str:
    """The types a group of the client protocol needs and `known` has not, and the union of its members."""
    refs = list(document[group].values())
    needed = sorted(name for name in _reachable(document, refs) if name not in known)
    types = "".join(_definition(name, document["$defs"][name], whole=group != "messages") for name in needed)
    members = [type_of(ref) for ref in refs]
    return (
        types + _wrapped_union(f"{_doc('Any of them, told apart by `type`.')}export type {union} =", members)
    ).rstrip("\n") + "\n"


def _session_answers(document: Schema) -> str:
    known = _reachable(document, document["events"].values())
    types = _session_types(document, "answers", "ServerMessage", frozenset(known))
    # They pass through the server as they are, so that its own types do not name them.
    types = types.replace("  events: unknown[];", "  events: SessionEvent[];")
    names = ", ".join(name for name in sorted([*known, "SessionEvent"]) if re.search(rf"\b{name}\b", types))
    return f'{SESSION_HEAD}import type {{ {names} }} from "./events.ts";\n\n{types}'


def _session_codes() -> str:
    codes = [json.dumps(code.value) for code in session_errors.Code]
    return _wrapped_union(f"{_doc('The codes of `error`.')}export type ProtocolCode =", codes).rstrip("\n") + "\n"


def _in_camel_case(document: Schema) -> Schema:
    """The document with the names of `SESSION_NAMES`, whose descriptions call members as they are called on the wire."""
    text = json.dumps(document)
    for name, ours in SESSION_NAMES.items():
        text = text.replace(f'"#/$defs/{name}"', f'"#/$defs/{ours}"')
    renamed: Schema = json.loads(text)
    definitions = {SESSION_NAMES.get(name, name): schema for name, schema in renamed["$defs"].items()}
    for schema in definitions.values():
        for member in schema["properties"]:
            snake = re.sub("([A-Z])", lambda found: "_" + found[0].lower(), member)
            schema["description"] = schema["description"].replace(f"`{snake}`", f"`{member}`")
    return {**renamed, "$defs": dict(sorted(definitions.items()))}


def _reachable(document: Schema, roots: Any) -> set[str]:
    return set(_bare(document, roots))


def _wrapped_union(start: str, members: list[str]) -> str:
    one_line = f"{start} {' | '.join(members)};"
    if len(one_line.rsplit("\n", 1)[-1]) <= LINE_MAX:
        return one_line + "\n\n"
    return start + "".join(f"\n  | {member}" for member in members) + ";\n\n"


def _doc(text: str, indent: str = "") -> str:
    joined = re.sub(r"\bNone\b", "null", " ".join(text.split()))
    if len(joined) + len(indent) + 7 <= LINE_MAX:
        return f"{indent}/** {joined} */\n"
    lines = textwrap.wrap(joined, LINE_MAX - len(indent) - 3, break_long_words=False, break_on_hyphens=False)
    return f"{indent}/**\n" + "".join(f"{indent} * {line}\n" for line in lines) + f"{indent} */\n"


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _event_types(document: Schema) -> str:
    rows = "".join(f'  "{name}": {type_of(schema)};\n' for name, schema in document["contents"].items())
    contents = (
        f"{_doc('Canonical event → its content. `message.user` is open: `{message_id, text, …metadata}`.')}"
        f"export interface EventContents {{\n{rows}"
        '  "message.user": { message_id: string; text: string } & Record<string, unknown>;\n}\n\n'
        f"{_doc('Canonical name of an event.')}export type EventName = keyof EventContents;\n\n"
    )
    return HEAD + _definitions(document) + contents


def _agent_events() -> str:
    names = [name for name in events.CONTENT_TYPES if name in events.AGENT_EVENTS]
    doc = _doc("Events an agent may emit; the others are the platform's own word and are refused from an agent.")
    listed = "".join(f'  "{name}",\n' for name in names)
    return (
        f"{doc}export const AGENT_EVENTS = [\n{listed}] as const satisfies readonly EventName[];\n\n"
        f"{_doc('Name of an event an agent may emit.')}export type AgentEventName = (typeof AGENT_EVENTS)[number];\n\n"
    ) + _aliases()


def _aliases() -> str:
    rows = "".join(f"  {alias}: {json.dumps(name)},\n" for alias, name in events.ALIASES.items())
    doc = _doc("Names a reader must accept beside the canonical ones.")
    return f"{doc}export const ALIASES: Readonly<Record<string, EventName>> = {{\n{rows}}};\n"


def _link_types(document: Schema) -> str:
    version = f"{_doc(_docstring(link, 'LINK_PROTOCOL'))}export const LINK_PROTOCOL = {link.LINK_PROTOCOL};\n"
    unions = _union(document, "to_agent") + _union(document, "from_agent")
    return HEAD + _definitions(document) + unions + version


def _rest_types(document: Schema, shared: Schema) -> str:
    same = frozenset(name for name, schema in document["$defs"].items() if shared["$defs"].get(name) == schema)
    names = ", ".join(sorted(same))
    lead = f'import type {{ {names} }} from "./events.ts";\n\nexport type {{ {names} }};\n\n' if same else ""
    return HEAD + lead + _definitions(document, same)


def _schema_tables(event_document: Schema, link_document: Schema) -> str:
    contents = {name: event_document["contents"][name] for name in sorted(events.AGENT_EVENTS)}
    frames = link_document["properties"]["to_agent"]["discriminator"]["mapping"]
    tables = (
        ("EVENT_SCHEMAS", "Event an agent may emit → schema of its content.", contents),
        ("EVENT_DEFINITIONS", "What schemas of events refer to.", _bare(event_document, contents.values())),
        ("FRAME_SCHEMAS", "Frame to the agent → its schema.", {kind: {"$ref": ref} for kind, ref in frames.items()}),
        (
            "FRAME_DEFINITIONS",
            "What schemas of frames refer to.",
            _bare(link_document, [{"$ref": ref} for ref in frames.values()]),
        ),
    )
    text = HEAD + 'import type { Schema } from "../schema.ts";\n\n'
    for name, doc, table in tables:
        rows = "".join(f"  {json.dumps(key)}: {json.dumps(schema)},\n" for key, schema in table.items())
        text += f"{_doc(doc)}export const {name}: Readonly<Record<string, Schema>> = {{\n{rows}}};\n\n"
    return text.rstrip("\n") + "\n"


def _bare(document: Schema, roots: Any) -> Schema:
    """The definitions reachable from `roots`, without words."""
    found: Schema = {}
    waiting = list(roots)
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, list):
            waiting += schema
        elif isinstance(schema, dict):
            name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
            if name and name not in found:
                found[name] = _without_words(document["$defs"][name])
                waiting.append(found[name])
            waiting += [value for value in schema.values() if isinstance(value, dict | list)]
    return dict(sorted(found.items()))


def _without_words(schema: Any) -> Any:
    # "properties" holds members by name, which may be called anything; every other level holds keywords.
    kept = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    if "properties" in kept:
        kept["properties"] = {name: _without_words(member) for name, member in kept["properties"].items()}
    return kept


def _error_table() -> str:
    rows = "".join(
        f"  {code.value}: {{ status: {at.status}, close: {at.close}, title: {json.dumps(at.title)}, "
        f"retryable: {str(at.retryable).lower()} }},\n"
        for code, at in errors.MAPPINGS.items()
    )
    closes = "".join(f"  {code.name}: {code.value},\n" for code in close.CloseCode)
    return (
        f"{HEAD}{_doc('What an error code means: HTTP status, WebSocket close code, summary, whether to try again later.')}"
        f"export const ERRORS = {{\n{rows}}} as const;\n\n"
        f"{_doc('Stable, machine-readable codes of everything that can go wrong.')}"
        "export type ErrorCode = keyof typeof ERRORS;\n\n"
        f"{_doc('Why a connection ended, and so what a client should do next.')}"
        f"export const CLOSE_CODES = {{\n{closes}}} as const;\n"
    )


def _limits(module: ModuleType, names: tuple[str, ...]) -> str:
    rows = [
        f"{_doc(_docstring(module, name))}export const {name} = {_number(getattr(module, name))};\n" for name in names
    ]
    return "\n".join(rows)


def _number(value: float) -> str:
    return f"{int(value):_}" if value == int(value) else str(value)


def _docstring(module: Any, name: str) -> str:
    """The text below the assignment of `name` in `module`."""
    body = ast.parse(Path(module.__file__).read_text()).body
    for statement, following in itertools.pairwise(body):
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
        if named and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            return str(following.value.value)
    raise ValueError(f"{name} has no docstring")


def main(arguments: list[str]) -> int:
    """Writes, or checks with `--check`; exit code 1 when a check finds something stale."""
    if "--check" in arguments:
        for path in stale():
            print(f"stale: {path.relative_to(ROOT)}; run python tools/generate_typescript.py", file=sys.stderr)
        return 1 if stale() else 0
    for path, text in rendered().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
