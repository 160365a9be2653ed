"""The OpenAPI 3.1 document, made from the endpoints that answer."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from podium.base.http.app import PROBLEM_JSON
from podium.base.http.endpoint import PUBLIC, Binary, Endpoint, HeaderParam, Media, Multipart
from podium.base.http.routes import parameter_names
from podium.wire.errors import MAPPINGS, ErrorCode, Problem
from podium.wire.rest import Permission

_REF: Final = "#/components/schemas/{name}"

_STATUS_TEXT: Final = {
    101: "The connection becomes a WebSocket",
    200: "Done",
    201: "Made",
    202: "Accepted",
    204: "Done; there is nothing to say",
    206: "The range that was asked for",
    304: "What you have is what there is",
}


class Info(NamedTuple):
    """What the document is about."""

    title: str
    version: str
    description: str
    bearer: str
    """What the credential is."""


class Documented(NamedTuple):
    """Errors that routes may answer with because of what stands before their handlers."""

    everywhere: tuple[ErrorCode, ...] = (ErrorCode.INVALID_REQUEST, ErrorCode.INTERNAL, ErrorCode.REGISTRY_UNAVAILABLE)
    with_key: tuple[ErrorCode, ...] = (ErrorCode.UNAUTHENTICATED, ErrorCode.PERMISSION_DENIED)
    with_json: tuple[ErrorCode, ...] = (
        ErrorCode.INVALID_JSON,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    )


def openapi(
    endpoints: Iterable[Endpoint],
    info: Info,
    *,
    key_headers: tuple[HeaderParam, ...] = (),
    documented: Documented | None = None,
) -> dict[str, Any]:
    """The document. `key_headers` are request headers of every route that needs a key."""
    writer = _Writer(list(endpoints), key_headers, documented or Documented())
    return {
        "openapi": "3.1.0",
        "info": {"title": info.title, "version": info.version, "description": info.description},
        "paths": writer.paths(),
        "components": {
            "schemas": writer.schemas(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": info.bearer}},
        },
    }


class _Writer:
    def __init__(self, endpoints: list[Endpoint], key_headers: tuple[HeaderParam, ...], documented: Documented) -> None:
        self._endpoints = endpoints
        self._key_headers = key_headers
        self._documented = documented
        kinds = {_key(kind): kind for endpoint in endpoints for kind in _kinds(endpoint)}
        kinds[_key(Problem)] = Problem
        refs, self._components = msgspec.json.schema_components(list(kinds.values()), ref_template=_REF)
        self._refs = dict(zip(kinds, refs, strict=True))

    def schemas(self) -> dict[str, Any]:
        return dict(sorted(self._components.items()))

    def paths(self) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for endpoint in self._endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = self._operation(endpoint)
        return paths

    def _operation(self, endpoint: Endpoint) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "operationId": endpoint.name,
            "summary": endpoint.summary,
            "tags": [endpoint.tag or "platform"],
            "parameters": [*self._path(endpoint), *self._query(endpoint), *self._headers(endpoint)],
            "responses": dict(sorted([*self._answers(endpoint), *self._errors(endpoint)])),
            "security": [] if endpoint.access is PUBLIC else [{"key": []}],
        }
        description = endpoint.description
        if isinstance(endpoint.access, Permission):
            description = f"{description} Needs the permission `{endpoint.access.value}`.".strip()
        if description:
            operation["description"] = description
        if endpoint.body is not None:
            operation["requestBody"] = self._body(endpoint)
        return operation

    def _path(self, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
        for name in parameter_names(endpoint.path):
            param = endpoint.params.get(name)
            schema = self._refs[_key(param.type)] if param else {"type": "string"}
            yield _parameter(name, "path", schema, required=True, description=param.description if param else "")

    def _query(self, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
        for field in msgspec.structs.fields(endpoint.query) if endpoint.query is not None else ():
            schema = dict(_without_null(self._refs[_key(field.type)]))
            if field.default not in (msgspec.NODEFAULT, None):
                schema["default"] = field.default
            description = schema.pop("description", "")
            yield _parameter(field.encode_name, "query", schema, required=field.required, description=description)

    def _headers(self, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
        for header in (*endpoint.headers, *(() if endpoint.access is PUBLIC else self._key_headers)):
            schema = dict(header.schema)
            yield _parameter(header.name, "header", schema, required=False, description=header.description)

    def _body(self, endpoint: Endpoint) -> dict[str, Any]:
        if isinstance(endpoint.body, Multipart):
            return {"required": True, "content": {"multipart/form-data": {"schema": dict(endpoint.body.schema)}}}
        if isinstance(endpoint.body, Binary):
            octets = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
            return {"required": False, "description": endpoint.body.description, "content": octets}
        content: dict[str, Any] = {"schema": self._refs[_key(endpoint.body)]}
        if "body" in endpoint.examples:
            content["example"] = endpoint.examples["body"]
        return {"required": True, "content": {"application/json": content}}

    def _answers(self, endpoint: Endpoint) -> Iterator[tuple[str, dict[str, Any]]]:
        for status, answer in endpoint.answers.items():
            described: dict[str, Any] = {"description": _STATUS_TEXT.get(status, "Done"), "headers": _REQUEST_ID}
            content = dict(self._content(kind) for kind in _alternatives(answer))
            if content:
                described["content"] = content
            if str(status) in endpoint.examples:
                described["content"]["application/json"]["example"] = endpoint.examples[str(status)]
            yield str(status), described

    def _content(self, kind: Any) -> tuple[str, dict[str, Any]]:
        if isinstance(kind, Media):
            return kind.content_type, {"schema": dict(kind.schema)}
        return "application/json", {"schema": self._refs[_key(kind)]}

    def _errors(self, endpoint: Endpoint) -> Iterator[tuple[str, dict[str, Any]]]:
        for status, codes in _by_status(errors_of(endpoint, self._documented)).items():
            if status in endpoint.answers:
                continue
            lines = "; ".join(f"`{code.value}` ({MAPPINGS[code].title.lower()})" for code in codes)
            yield (
                str(status),
                {
                    "description": lines,
                    "headers": {**_REQUEST_ID, **(_RETRY_AFTER if status in {429, 503} else {})},
                    "content": {PROBLEM_JSON: {"schema": self._refs[_key(Problem)]}},
                },
            )


def errors_of(endpoint: Endpoint, documented: Documented) -> list[ErrorCode]:
    """Every code an endpoint may answer with."""
    codes = [*documented.everywhere, *endpoint.errors, *(param.missing for param in endpoint.params.values())]
    if endpoint.access is not PUBLIC:
        codes.extend(documented.with_key)
    if endpoint.reads_json:
        codes.extend(documented.with_json)
    return sorted(set(codes))


_REQUEST_ID: Final = {"X-Request-Id": {"description": "Id of the request", "schema": {"type": "string"}}}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}


def _by_status(codes: list[ErrorCode]) -> dict[int, list[ErrorCode]]:
    found: dict[int, list[ErrorCode]] = {}
    for code in codes:
        found.setdefault(MAPPINGS[code].status, []).append(code)
    return found


def _kinds(endpoint: Endpoint) -> Iterator[Any]:
    if endpoint.reads_json:
        yield endpoint.body
    for answer in endpoint.answers.values():
        yield from (kind for kind in _alternatives(answer) if not isinstance(kind, Media))
    if endpoint.query is not None:
        yield from (field.type for field in msgspec.structs.fields(endpoint.query))
    yield from (param.type for param in endpoint.params.values())


def _alternatives(answer: Any) -> tuple[Any, ...]:
    if answer is None:
        return ()
    return answer if isinstance(answer, tuple) else (answer,)


def _key(kind: Any) -> str:
    """Types such as `Annotated[str, …]` have no identity of their own; their text tells them apart."""
    return repr(kind)


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A query parameter is given or absent, never null."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _parameter(name: str, place: str, schema: Mapping[str, Any], *, required: bool, description: str) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": place, "required": required, "schema": schema}
    if description:
        parameter["description"] = description
    return parameter
