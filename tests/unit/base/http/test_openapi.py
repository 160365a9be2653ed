"""The document is made from the endpoints, and says all of what they do."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from podium.base.http import (
    EVENT_STREAM,
    PUBLIC,
    Call,
    Endpoint,
    HeaderParam,
    Info,
    Multipart,
    Param,
    docs_page,
    openapi,
)
from podium.wire.errors import ErrorCode
from podium.wire.rest import Permission


class Query(msgspec.Struct, frozen=True):
    """A query."""

    limit: Annotated[int, Meta(ge=1, le=10, description="how many")] = 3
    name: str | None = None


class Thing(msgspec.Struct, frozen=True):
    """A thing."""

    text: str


async def make_thing(_call: Call) -> None:
    """Nothing."""


async def put_file(_call: Call) -> None:
    """Nothing."""


DOCUMENT = openapi(
    [
        Endpoint(
            method="POST",
            path="/things/{kind}",
            handler=make_thing,
            tag="things",
            summary="Make a <thing>",
            access=Permission.CONFIG_WRITE,
            params={"kind": Param(Annotated[str, Meta(max_length=5)], ErrorCode.AGENT_NOT_FOUND, "what kind")},
            query=Query,
            headers=(HeaderParam("Idempotency-Key", "once"),),
            body=Thing,
            answers={201: (Thing, EVENT_STREAM), 204: None},
            errors=(ErrorCode.QUOTA_EXCEEDED,),
            examples={"body": {"text": "x"}, "201": {"text": "y"}},
        ),
        Endpoint(
            method="PUT",
            path="/file",
            handler=put_file,
            summary="Put",
            access=PUBLIC,
            body=Multipart({"type": "object"}),
            answers={204: None},
        ),
    ],
    Info("Test", "1", "About tests.", "a key"),
    key_headers=(HeaderParam("Podium-Tenant", "for whom"),),
)
MAKE: dict[str, Any] = DOCUMENT["paths"]["/things/{kind}"]["post"]


def test_parameters_have_their_types_bounds_and_meaning() -> None:
    parameters = {(p["in"], p["name"]): p for p in MAKE["parameters"]}
    assert list(parameters) == [
        ("path", "kind"), ("query", "limit"), ("query", "name"), ("header", "Idempotency-Key"), ("header", "Podium-Tenant"),
    ]  # fmt: skip
    assert parameters["path", "kind"]["schema"] == {"type": "string", "maxLength": 5}
    limit = parameters["query", "limit"]
    assert (limit["required"], limit["description"]) == (False, "how many")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 3}
    assert parameters["query", "name"]["schema"] == {"type": "string"}


def test_every_status_an_endpoint_may_answer_with_is_there() -> None:
    assert list(MAKE["responses"]) == ["201", "204", "400", "401", "403", "404", "413", "415", "429", "500", "503"]
    assert set(MAKE["responses"]["201"]["content"]) == {"application/json", "text/event-stream"}
    assert MAKE["responses"]["201"]["content"]["application/json"]["example"] == {"text": "y"}
    problem = MAKE["responses"]["429"]["content"]["application/problem+json"]["schema"]["$ref"]
    assert problem.rpartition("/")[2] in DOCUMENT["components"]["schemas"]
    assert "quota_exceeded" in MAKE["responses"]["429"]["description"]
    assert "Retry-After" in MAKE["responses"]["429"]["headers"]
    assert {"201", "400"} <= {
        status for status, answer in MAKE["responses"].items() if "X-Request-Id" in answer["headers"]
    }


def test_who_may_is_told() -> None:
    assert MAKE["security"] == [{"key": []}]
    assert "`config:write`" in MAKE["description"]
    put = DOCUMENT["paths"]["/file"]["put"]
    assert put["security"] == []
    assert "401" not in put["responses"]
    assert "multipart/form-data" in put["requestBody"]["content"]


def test_the_page_names_everything_and_loads_nothing() -> None:
    page = docs_page(DOCUMENT)
    for said in ("/things/{kind}", "Make a &lt;thing&gt;", "quota_exceeded", "id='Thing'", "how many"):
        assert said in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
