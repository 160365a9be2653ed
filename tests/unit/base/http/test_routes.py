"""Paths that span parts: as few as let the rest of a route match, encoded slashes never among what ends them."""

from typing import Any

import pytest

from podium.base.http import PUBLIC, Call, Endpoint, Param
from podium.base.http.routes import MethodNotAllowedError, Routes
from podium.wire.errors import PodiumError


async def _nothing(_call: Call) -> None:
    pass


def _endpoint(method: str, path: str) -> Endpoint:
    params = {"path": Param(spans=True), "n": Param(digits=True)}
    return Endpoint(
        method=method, path=path, handler=_nothing, summary="", access=PUBLIC, answers={204: None}, params=params
    )


ROUTES = Routes(
    [
        _endpoint("GET", "/files"),
        _endpoint("GET", "/files/{path}"),
        _endpoint("PUT", "/files/{path}"),
        _endpoint("GET", "/files/{path}/history"),
        _endpoint("GET", "/files/{path}/at/{n}"),
    ]
)


@pytest.mark.parametrize(
    ("raw", "route", "values"),
    [
        (b"/files", "/files", {}),
        (b"/files/a", "/files/{path}", {"path": "a"}),
        (b"/files/a/b/c", "/files/{path}", {"path": "a/b/c"}),
        (b"/files/a/b/history", "/files/{path}/history", {"path": "a/b"}),
        (b"/files/a%2Fb%2Fhistory", "/files/{path}", {"path": "a/b/history"}),
        (b"/files/a/history/history", "/files/{path}/history", {"path": "a/history"}),
        (b"/files/history", "/files/{path}", {"path": "history"}),
        (b"/files/history/history", "/files/{path}/history", {"path": "history"}),
        (b"/files/a/at/3", "/files/{path}/at/{n}", {"path": "a", "n": "3"}),
        (b"/files/a/at/x", "/files/{path}", {"path": "a/at/x"}),
        (b"/files/at/3", "/files/{path}", {"path": "at/3"}),
        (b"/files/a/at/3/history", "/files/{path}/history", {"path": "a/at/3"}),
        (b"/files/a%2Fat%2F3", "/files/{path}", {"path": "a/at/3"}),
        (b"/files//etc", "/files/{path}", {"path": "/etc"}),
        (b"/files/%2e%2e/x", "/files/{path}", {"path": "../x"}),
        (b"/files/\xff%FF", "/files/{path}", {"path": "\udcff\udcff"}),
        (b"/files/a%0Ab", "/files/{path}", {"path": "a\nb"}),
    ],
)
def test_the_route_and_the_path_in_it(raw: bytes, route: str, values: dict[str, Any]) -> None:
    endpoint, found = ROUTES.match("GET", raw)
    assert (endpoint.path, found) == (route, values)


def test_a_route_that_takes_less_methods_hides_no_file_silently() -> None:
    with pytest.raises(MethodNotAllowedError):
        ROUTES.match("PUT", b"/files/a/history")
    assert ROUTES.match("PUT", b"/files/a%2Fhistory")[1] == {"path": "a/history"}


def test_long_paths_are_matched_in_no_time() -> None:
    assert ROUTES.match("GET", b"/files" + b"/history" * 20_000)[0].path == "/files/{path}/history"
    with pytest.raises(PodiumError):
        ROUTES.match("GET", b"/other" + b"/x" * 20_000)
