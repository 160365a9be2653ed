"""Addresses, settings, problems, server-sent events."""

import pytest

from podium.client.call import api_path, file_path
from podium.client.errors import problem_of
from podium.client.settings import DEFAULT_URL, ClientSettings, read_settings
from podium.client.sse import ServerSentEvent, SseReader
from podium.wire.errors import ErrorCode, PodiumError, as_json


def test_parts_of_a_path_are_escaped() -> None:
    assert api_path("deployments", "a:1.0.0+b@12345678") == "/api/v1/deployments/a:1.0.0%2Bb@12345678"
    assert api_path("agents", "../x?y") == "/api/v1/agents/..%2Fx%3Fy"


def test_queries_leave_out_what_is_not_given() -> None:
    assert api_path("x", query={"a": None, "b": 0, "c": True, "d": "ä"}) == "/api/v1/x?b=0&c=true&d=%C3%A4"


@pytest.mark.parametrize(
    ("path", "escaped"),
    [
        ("src/a b.py", "src/a%20b.py"),
        ("docs/history", "docs%2Fhistory"),
        ("history", "history"),
        ("x/at/3", "x%2Fat%2F3"),
        ("at/3", "at%2F3"),
        ("at/x", "at/x"),
    ],
)
def test_file_paths_that_look_like_routes_are_escaped_whole(path: str, escaped: str) -> None:
    assert file_path(path) == escaped


def test_settings_come_from_the_environment_and_what_is_given_wins() -> None:
    environment = {"PODIUM_URL": "https://podium.example/", "PODIUM_API_KEY": "pod_x"}
    assert read_settings(environment) == ClientSettings("https://podium.example", "pod_x")
    assert read_settings(environment, url="http://h:1", api_key="pod_y") == ClientSettings("http://h:1", "pod_y")
    assert read_settings({}).url == DEFAULT_URL


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="http"):
        read_settings({"PODIUM_URL": "ftp://x"})


def test_a_key_is_not_printed() -> None:
    assert "pod_secret" not in repr(ClientSettings("http://h", "pod_secret"))


def test_an_admin_key_can_act_for_a_tenant() -> None:
    headers = ClientSettings("http://h", "k", "acme").headers()
    assert headers == {"Authorization": "Bearer k", "Podium-Tenant": "acme"}


def test_a_problem_is_read_whole() -> None:
    given = PodiumError(ErrorCode.AGENT_START_FAILED, "on_init raised", logs=["a", "b"])
    read = problem_of(as_json(given.problem("req")), 422, 3.0)
    assert (read.code, read.logs, read.retry_after) == (ErrorCode.AGENT_START_FAILED, ["a", "b"], 3.0)


@pytest.mark.parametrize(
    ("status", "code"),
    [(502, ErrorCode.UNREACHABLE), (404, ErrorCode.NOT_FOUND), (500, ErrorCode.INTERNAL), (418, ErrorCode.INTERNAL)],
)
def test_an_answer_of_a_proxy_is_judged_by_its_status(status: int, code: ErrorCode) -> None:
    assert problem_of(b"<html>", status).code is code


def test_server_sent_events_are_read_as_the_standard_says() -> None:
    reader = SseReader()
    lines = [b": hi", b"id: 7", b"event: update", b"data: one", b"data:two", b"", b"", b"data: three", b""]
    events = [event for event in map(reader.feed, lines) if event is not None]
    assert events == [
        ServerSentEvent(b"one\ntwo", "7", "update"),
        ServerSentEvent(b"three", "7", "message"),
    ]
