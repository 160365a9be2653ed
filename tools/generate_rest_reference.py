"""Writes docs/reference/rest-api.md from the routes themselves; `tests/unit/gateway/test_reference.py` checks that it is fresh.

Usage: python tools/generate_rest_reference.py
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from podium.base.clock import ManualClock
from podium.base.discovery.memory import MemoryDiscovery
from podium.base.http import openapi
from podium.base.objects.memory import MemoryObjects
from podium.base.sealing import Sealer
from podium.gateway.api.platform import ABOUT, ACTS_FOR
from podium.gateway.api.routes import all_endpoints
from podium.gateway.app import Gateway
from podium.gateway.options import GatewayOptions
from podium.wire.errors import MAPPINGS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "rest-api.md"

HEAD = """\
# REST API

Generated from the routes by `tools/generate_rest_reference.py`. A running gateway serves the same as OpenAPI 3.1 at
`/openapi.json` and as a page at `/docs`; a fuzzer in the test suite holds it to that document.

- `Authorization: Bearer <key>`: a tenant key (`pod_…`) or an admin key (`pod_admin_…`). An admin key acts for one tenant
  with `Podium-Tenant: <tenant_id>`. What belongs to another tenant is 404.
- JSON in and out, UTF-8, at most 1 MiB a request (bundles: 1 GiB). Times are epoch milliseconds, sizes bytes.
- Lists take `limit` (1 to 1000, default 100) and `cursor`, and answer `items` and `next_cursor` (null at the end).
- Every answer has `X-Request-Id`; a sane one of yours is kept. Errors are `application/problem+json` (RFC 9457) with a
  stable `code`; 429 and 503 come with `Retry-After`.
- Every route may also answer 400 `invalid_request`, 401 `unauthenticated`, 403 `permission_denied`, 500 `internal` and 503
  `registry_unavailable`; those with a JSON body 400 `invalid_json`, 413 `message_too_large` and 415
  `unsupported_media_type`.
"""


def endpoints_document() -> dict[str, Any]:
    """The OpenAPI document of a gateway."""
    clock = ManualClock()
    options = GatewayOptions("test", "cluster", Path("uploads"))
    discovery, objects = MemoryDiscovery(clock), MemoryObjects(clock)
    gateway = Gateway(options, discovery, objects, Sealer("a key of no importance"), clock)
    return openapi(all_endpoints(gateway.parts), ABOUT, key_headers=(ACTS_FOR,))


def reference() -> str:
    """The page."""
    document = endpoints_document()
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append("\n".join(_operation(method, path, operation)))
    parts = [HEAD]
    for tag, operations in groups.items():
        parts.append(f"## {tag.capitalize()}\n")
        parts.extend(operations)
    parts.append("\n".join(_errors()))
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n"
    yield f"{operation['summary']}. {operation.get('description', '')}".rstrip() + "\n"
    parameters = [p for p in operation["parameters"] if p["name"] != ACTS_FOR.name and p["in"] != "path"]
    if parameters:
        yield "| parameter | in | type | meaning |\n| --- | --- | --- | --- |"
        for parameter in parameters:
            meaning = parameter.get("description", "")
            yield f"| `{parameter['name']}` | {parameter['in']} | {_kind(parameter['schema'])} | {meaning} |"
        yield ""
    if "requestBody" in operation:
        yield f"Body: {', '.join(_content(operation['requestBody']['content']))}.\n"
    answers = [f"{status} {' or '.join(_content(a.get('content', {})))}".strip() for status, a in _good(operation)]
    yield f"Answers: {'; '.join(answers)}.\n"


def _good(operation: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(status, answer) for status, answer in operation["responses"].items() if status < "400"]


def _content(content: Mapping[str, Any]) -> list[str]:
    return [_kind(media["schema"]) if kind == "application/json" else f"`{kind}`" for kind, media in content.items()]


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    return str(schema.get("type", "any"))


def _errors() -> Iterator[str]:
    yield "## Error codes\n"
    yield "| code | status | close code | exit code | meaning |\n| --- | --- | --- | --- | --- |"
    for code, mapping in MAPPINGS.items():
        yield f"| `{code.value}` | {mapping.status} | {mapping.close} | {mapping.exit} | {mapping.title} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(reference())
