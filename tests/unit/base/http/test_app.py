"""Endpoints as values become an application in which every failure is a problem."""

import asyncio
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from podium.base.http import (
    ANY_KEY,
    CLUSTER,
    PUBLIC,
    Answer,
    Call,
    ClusterAuthenticator,
    Endpoint,
    HttpApp,
    Identity,
    Param,
    cluster_headers,
)
from podium.wire.errors import ErrorCode, PodiumError
from podium.wire.limits import REQUEST_BODY_MAX_BYTES
from podium.wire.rest import Permission
from tests.unit.base.http.asgi import Said, call

KEY = "the-cluster-key"


class Query(msgspec.Struct, frozen=True):
    """A query."""

    limit: Annotated[int, Meta(ge=1, le=10)] = 3
    deep: bool = False
    name: str | None = None


class Body(msgspec.Struct, frozen=True):
    """A body."""

    text: str
    inner: dict[str, int] = {}
    free: Any = None


class KnownError(Exception):
    """An error of a port."""


async def _echo(call: Call) -> dict[str, Any]:
    return {"path": call.path, "limit": call.query.limit, "text": call.body.text, "raw": len(call.raw)}


async def _raise(call: Call) -> None:
    kinds: dict[str, Exception] = {
        "bug": ValueError("/secret/path"),
        "known": KnownError(),
        "told": PodiumError(ErrorCode.QUOTA_EXCEEDED, "enough", retry_after=2.2),
    }
    raise kinds[call.path["kind"]]


async def _who(call: Call) -> Answer:
    identity: Identity = call.identity
    return Answer(202, {"tenant": identity.tenant_id, "admin": identity.is_admin}, {"x-more": "1"})


async def _nothing(_call: Call) -> None:
    return None


ENDPOINTS = [
    Endpoint(
        method="POST",
        path="/echo/{word}",
        handler=_echo,
        summary="",
        access=PUBLIC,
        query=Query,
        body=Body,
        params={"word": Param(Annotated[str, Meta(pattern="^[a-z/]+$")], ErrorCode.AGENT_NOT_FOUND)},
        answers={200: dict[str, Any]},
    ),
    Endpoint(method="GET", path="/raise/{kind}", handler=_raise, summary="", access=PUBLIC, answers={200: None}),
    Endpoint(method="GET", path="/who", handler=_who, summary="", access=CLUSTER, answers={202: dict[str, Any]}),
    Endpoint(method="GET", path="/any", handler=_who, summary="", access=ANY_KEY, answers={202: dict[str, Any]}),
    Endpoint(
        method="DELETE", path="/who", handler=_nothing, summary="", access=Permission.CONFIG_WRITE, answers={204: None}
    ),
]


@pytest.fixture
def app() -> HttpApp:
    """The application."""

    def translate(error: Exception) -> PodiumError | None:
        return PodiumError(ErrorCode.REGISTRY_UNAVAILABLE, "away") if isinstance(error, KnownError) else None

    return HttpApp(ENDPOINTS, ClusterAuthenticator(KEY), translate=translate)


async def _post(app: HttpApp, body: bytes, path: str = "/echo/word", **more: Any) -> Said:
    return await call(app, "POST", path, body, **more)


async def test_a_handler_gets_values_of_the_declared_types(app: HttpApp) -> None:
    said = await _post(app, b'{"text": "x"}', "/echo/a%2Fb", query=b"limit=7&other=1")
    assert said.json == {"path": {"word": "a/b"}, "limit": 7, "text": "x", "raw": 13}
    assert said.headers["content-type"] == "application/json"


@pytest.mark.proves("ERRORS-PROBLEM-JSON")
@pytest.mark.parametrize(
    ("body", "more", "status", "code", "loc"),
    [
        (b"{", {}, 400, "invalid_json", None),
        (b"", {}, 400, "invalid_json", None),
        (b'{"text": "\xff"}', {}, 400, "invalid_json", None),
        (b'{"text": "\\ud800"}', {}, 400, "invalid_json", None),
        (b'{"text": "x", "free": ' + b"[" * 5000 + b"]" * 5000 + b"}", {}, 400, "invalid_json", None),
        (b'{"text": "x", "free": 1e999}', {}, 400, "invalid_request", "body.free"),
        (b"[]", {}, 400, "invalid_request", "body"),
        (b"{}", {}, 400, "invalid_request", "body"),
        (b'{"text": 1}', {}, 400, "invalid_request", "body.text"),
        (b'{"text": "x", "inner": {"a": "b"}}', {}, 400, "invalid_request", "body.inner[...]"),
        (b'{"text": "x"}', {"query": b"limit=0"}, 400, "invalid_request", "query.limit"),
        (b'{"text": "x"}', {"query": b"limit=many"}, 400, "invalid_request", "query.limit"),
        (b'{"text": "x"}', {"query": b"limit=1&limit=2"}, 400, "invalid_request", "query"),
        (b'{"text": "x"}', {"query": b"name=%ff"}, 400, "invalid_request", "query"),
        (b'{"text": "x"}', {"query": b"a=1&" * 200}, 400, "invalid_request", "query"),
        (b'{"text": "x"}', {"path": "/echo/UPPER"}, 404, "agent_not_found", None),
        (b'{"text": "x"}', {"path": "/echo/a%0A"}, 404, "agent_not_found", None),
        (b'{"text": "x"}', {"path": "/echo/%ff"}, 404, "not_found", None),
        (b'{"text": "x"}', {"path": "/echo/"}, 404, "not_found", None),
        (b'{"text": "x"}', {"path": "/echo/a/b"}, 404, "not_found", None),
        (b"x", {"headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type", None),
        (
            b"{}",
            {"headers": {"Content-Type": "application/json; charset=latin-1"}},
            415,
            "unsupported_media_type",
            None,
        ),
    ],
)
async def test_broken_requests_are_told_what_is_wrong(
    app: HttpApp, body: bytes, more: dict[str, Any], status: int, code: str, loc: str | None
) -> None:
    said = await _post(app, body, **more)
    assert (said.status, said.json["code"]) == (status, code)
    assert said.headers["content-type"] == "application/problem+json"
    assert said.json["request_id"] == said.headers["x-request-id"]
    assert (said.json.get("errors") or [{"loc": None}])[0]["loc"] == loc


@pytest.mark.parametrize("kind", ["application/json", "application/vnd.x+json", "application/json; charset=UTF-8", ""])
async def test_json_may_be_called_json_in_several_ways(app: HttpApp, kind: str) -> None:
    assert (await _post(app, b'{"text":"x"}', headers={"Content-Type": kind})).status == 200


async def test_a_body_that_says_it_is_too_large_is_not_read(app: HttpApp) -> None:
    taken: list[int] = []
    said = await _post(app, b"x", headers={"Content-Length": str(REQUEST_BODY_MAX_BYTES + 1)}, taken=taken.append)
    assert (said.status, said.json["code"], taken) == (413, "message_too_large", [])


async def test_a_body_that_turns_out_too_large_is_not_read_to_its_end(app: HttpApp) -> None:
    taken: list[int] = []
    said = await call(app, "POST", "/echo/a", *[bytes(300_000)] * 20, taken=taken.append)
    assert (said.status, taken[-1]) == (413, 4)


async def test_a_method_that_is_not_taken_names_those_that_are(app: HttpApp) -> None:
    said = await call(app, "PATCH", "/who")
    assert (said.status, said.json["code"], said.headers["allow"]) == (405, "method_not_allowed", "DELETE, GET")


@pytest.mark.proves("ERRORS-NO-INSIDES")
@pytest.mark.noisy("request_failed")
async def test_a_bug_is_a_500_that_tells_nothing(app: HttpApp, caplog: pytest.LogCaptureFixture) -> None:
    said = await call(app, "GET", "/raise/bug")
    assert (said.status, said.json["code"]) == (500, "internal")
    assert b"secret" not in said.body
    assert said.headers["x-request-id"] in [getattr(record, "request_id", "") for record in caplog.records]


@pytest.mark.proves("ERRORS-RETRY-AFTER")
async def test_errors_that_pass_say_when_to_come_back(app: HttpApp) -> None:
    told, known = await call(app, "GET", "/raise/told"), await call(app, "GET", "/raise/known")
    assert (told.status, told.headers["retry-after"]) == (429, "3")
    assert (known.status, known.json["code"], known.headers["retry-after"]) == (503, "registry_unavailable", "1")


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1", True), ("", False), ("a b", False), ("x" * 129, False), ("a\u00e9", False)]
)
async def test_a_sane_request_id_is_kept(app: HttpApp, given: str, kept: bool) -> None:
    said = await call(app, "GET", "/raise/told", headers={"X-Request-Id": given})
    assert (said.headers["x-request-id"] == given) is kept
    assert said.headers["x-request-id"]


@pytest.mark.proves("COORDINATOR-CREDENTIAL")
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", f"Basic {KEY}", "Bearer \xff"])
async def test_the_cluster_takes_its_own_credential_alone(app: HttpApp, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    said = await call(app, "GET", "/who", headers=headers)
    assert (said.status, said.json["code"]) == (401, "unauthenticated")
    assert said.headers["www-authenticate"].startswith("Bearer")


async def test_what_a_gateway_says_of_a_caller_arrives(app: HttpApp) -> None:
    user = Identity("acme", False, frozenset({"instances:read"}))
    said = await call(app, "GET", "/who", headers=cluster_headers(user, KEY, "r1"))
    assert (said.status, said.json, said.headers["x-more"]) == (202, {"tenant": "acme", "admin": False}, "1")
    assert said.headers["x-request-id"] == "r1"
    assert (await call(app, "DELETE", "/who", headers=cluster_headers(user, KEY, "r1"))).status == 403
    assert (await call(app, "GET", "/any", headers=cluster_headers(user, KEY, "r1"))).status == 202
    admin = cluster_headers(Identity(None, True), KEY, "r1")
    assert (await call(app, "GET", "/who", headers=admin)).json == {"tenant": None, "admin": True}
    assert (await call(app, "DELETE", "/who", headers=admin)).status == 204


@pytest.mark.parametrize("header", [{"podium-role": "root"}, {"podium-tenant": "a/b"}])
async def test_headers_no_gateway_would_write_are_refused(app: HttpApp, header: dict[str, str]) -> None:
    headers = {**cluster_headers(Identity("acme"), KEY, "r"), **header}
    assert (await call(app, "GET", "/who", headers=headers)).status == 400


async def test_a_client_that_goes_away_is_answered_with_nothing(app: HttpApp) -> None:
    sent: list[Any] = []

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "raw_path": b"/echo/a", "query_string": b"", "headers": []}
    await app(scope, gone, send)
    assert sent == []


def test_two_endpoints_for_one_route_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two endpoints"):
        HttpApp([ENDPOINTS[0], ENDPOINTS[0]], ClusterAuthenticator(KEY))


def test_an_empty_cluster_key_opens_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        ClusterAuthenticator("")


async def test_a_handler_that_is_cancelled_is_not_answered_for(app: HttpApp) -> None:
    async def cancelled(_call: Call) -> None:
        raise asyncio.CancelledError

    stuck = Endpoint(method="GET", path="/", handler=cancelled, summary="", access=PUBLIC, answers={200: None})
    with pytest.raises(asyncio.CancelledError):
        await call(HttpApp([stuck], ClusterAuthenticator(KEY)), "GET", "/")
