"""The opening of a WebSocket, read and written."""

import pytest

from podium.gateway.domain.handshake import Dialing, Opening, read_answer, read_opening
from podium.wire.errors import PodiumError

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEADERS = {"sec-websocket-version": "13", "sec-websocket-key": KEY}
PATH = b"/api/v1/instances/inst-a/connect"


def test_the_accept_of_the_rfc_is_ours() -> None:
    opening = read_opening("GET", PATH, b"", HEADERS, "")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in opening.accept()
    assert b"Sec-WebSocket-Protocol" not in opening.accept()


@pytest.mark.proves("WS-BROWSER-SUBPROTOCOL-KEY")
def test_a_browser_hides_its_key_among_the_subprotocols() -> None:
    opening = read_opening("GET", PATH, b"after=7", HEADERS, "podium.v1, podium.bearer.pod_abc")
    assert (opening.instance_id, opening.bearer, opening.after()) == ("inst-a", "pod_abc", 7)
    assert b"Sec-WebSocket-Protocol: podium.v1\r\n" in opening.accept()
    assert b"pod_abc" not in opening.accept()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", PATH, HEADERS),
        ("GET", b"/other", HEADERS),
        ("GET", PATH, {**HEADERS, "sec-websocket-version": "8"}),
        ("GET", PATH, {**HEADERS, "sec-websocket-key": "short"}),
        ("GET", PATH, {**HEADERS, "sec-websocket-key": "é" * 24}),
        ("GET", PATH, {}),
    ],
)
def test_what_is_no_websocket_to_an_instance_is_refused(method: str, path: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(PodiumError):
        read_opening(method, path, b"", headers, "")


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "٣", "9" * 16, "9" * 40, "+1", " 1"])
def test_after_is_the_number_of_an_event(after: str) -> None:
    with pytest.raises(PodiumError):
        Opening("i", f"after={after}", KEY, offers_protocol=False, bearer=None).after()


def test_without_after_there_is_none() -> None:
    assert Opening("i", "before=3", KEY, offers_protocol=False, bearer=None).after() is None


def test_a_coordinator_is_asked_with_all_it_needs() -> None:
    head = Dialing(
        "h:1", "inst-a", 5, KEY, offers_protocol=True, mark=bytes(16), headers={"podium-role": "user"}
    ).head()
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /agent/inst-a?after=5 HTTP/1.1"
    assert {"Host: h:1", "Podium-Sync: " + "00" * 16, "podium-role: user"} <= set(lines)
    assert "Extensions" not in head.decode()
    assert head.endswith(b"\r\n\r\n")


def test_an_answer_is_read_when_its_head_is_whole() -> None:
    assert read_answer(b"HTTP/1.1 101 X\r\nA: b\r\n") is None
    answer = read_answer(b"HTTP/1.1 101 X\r\nA: b\r\n\r\n\x81\x00")
    assert answer is not None
    assert (answer.status, answer.rest) == (101, b"\x81\x00")


@pytest.mark.parametrize("data", [b"SSH-2.0\r\n\r\n", b"x" * 20_000])
def test_nonsense_is_no_answer(data: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        read_answer(data)
