"""Which pages may use a server."""

from typing import Any

import pytest

from podium.base.http.origins import CrossOrigin, Origins, is_allowed

APP = "https://app.example"


@pytest.mark.parametrize(
    ("origin", "allowed", "may"),
    [
        (None, "", True),
        (APP, "", False),
        (APP, f"https://other.example, {APP}", True),
        ("https://app.example.evil.example", APP, False),
        ("http://localhost:3000", "http://localhost:*", True),
        ("http://localhost", "http://localhost:*", True),
        ("http://localhost:3000.evil.example", "http://localhost:*", False),
        ("https://localhost:3000", "http://localhost:*", False),
        ("null", APP, False),
        ("https://anybody.example", "*", True),
    ],
)
def test_an_origin_is_allowed_by_name_by_any_port_or_with_all_others(
    origin: str | None, allowed: str, may: bool
) -> None:
    assert is_allowed(origin, Origins.parse(allowed)) is may


def test_origins_are_shown_as_they_are_written() -> None:
    assert str(Origins.parse(" a , ,b")) == "a,b"


async def _answer(method: str = "GET", **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers an application with `APP` allowed answers with."""
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"1"')]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await CrossOrigin(app, Origins.parse(APP))({"type": "http", "method": method, "headers": raw}, receive, send)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


async def test_answers_to_a_page_that_may_read_them_say_so() -> None:
    status, headers = await _answer(origin=APP)
    assert (status, headers["access-control-allow-origin"], headers["vary"], headers["etag"]) == (
        200,
        APP,
        "origin",
        '"1"',
    )
    assert headers["access-control-expose-headers"] == "*"
    assert "access-control-allow-credentials" not in headers


async def test_the_question_before_a_request_is_answered() -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "authorization,idempotency-key"}
    status, headers = await _answer("OPTIONS", origin=APP, **asked)
    assert status == 204
    assert "POST" in headers["access-control-allow-methods"]
    assert headers["access-control-allow-headers"] == "authorization,idempotency-key"


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}, {"origin": "null"}])
async def test_nobody_else_is_told_anything(headers: dict[str, str]) -> None:
    for method in ("GET", "OPTIONS"):
        status, answered = await _answer(method, access_control_request_method="GET", **headers)
        assert (status, [name for name in answered if name.startswith("access-control")]) == (200, [])
