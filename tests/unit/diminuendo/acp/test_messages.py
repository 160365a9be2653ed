"""JSON-RPC 2.0: what is read, what is refused, and lines of a byte stream."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diminuendo.acp.rpc import messages
from diminuendo.acp.rpc.lines import Line, Lines
from diminuendo.acp.rpc.messages import Batch, Notification, Refused, Request, Response, RpcError, read

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
MEMBERS = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"])
ALMOST = st.dictionaries(MEMBERS, JSON | st.sampled_from(["2.0", "initialize", 1]), max_size=6)


def test_messages_are_told_apart() -> None:
    assert read('{"jsonrpc": "2.0", "id": "a", "method": "m", "params": {"x": 1}}') == Request("a", "m", {"x": 1})
    assert read(b'{"jsonrpc": "2.0", "id": null, "method": "m"}') == Request(None, "m", None)
    assert read('{"jsonrpc": "2.0", "method": "m", "params": []}') == Notification("m", [])
    assert read('{"jsonrpc": "2.0", "id": 1, "result": null}') == Response(1, None, None)
    failed = read('{"jsonrpc": "2.0", "id": 1, "error": {"code": -3, "message": "no", "data": 7}}')
    assert isinstance(failed, Response)
    assert failed.error is not None
    assert (failed.error.code, failed.error.message, failed.error.data) == (-3, "no", 7)


@pytest.mark.parametrize(
    ("text", "message_id", "code"),
    [
        ("", None, -32700),
        ("{", None, -32700),
        ('{"jsonrpc": "2.0", "id": 1, "method": "m", "params": "x"}', 1, -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": 2}', 1, -32600),
        ('{"jsonrpc": "2.0", "id": true, "method": "m"}', None, -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "m"}', 1, -32600),
        ('{"jsonrpc": "2.0", "id": 1, "result": 1, "error": {}}', 1, -32600),
        ('{"jsonrpc": "2.0", "id": 1}', 1, -32600),
        ('"text"', None, -32600),
        ("[]", None, -32600),
        ("[" * 100_000, None, -32700),
        (json.dumps([1] * (messages.BATCH_MAX + 1)), None, -32600),
        (" " * (messages.MESSAGE_MAX_BYTES + 1), None, -32600),
    ],
)
def test_what_is_no_message_is_refused_with_its_id_and_code(text: str, message_id: object, code: int) -> None:
    found = read(text)
    assert isinstance(found, Refused)
    assert (found.id, found.error.code) == (message_id, code)


def test_a_batch_keeps_its_order() -> None:
    found = read('[{"jsonrpc": "2.0", "method": "a"}, 3, {"jsonrpc": "2.0", "id": 1, "method": "b"}]')
    assert isinstance(found, Batch)
    assert [type(message) for message in found.messages] == [Notification, Refused, Request]


@given(JSON | ALMOST | st.lists(ALMOST, max_size=3))
def test_whatever_is_json_is_read_or_refused(value: object) -> None:
    found = read(json.dumps(value))
    for message in found.messages if isinstance(found, Batch) else [found]:
        assert isinstance(message, Request | Notification | Response | Refused)


@given(st.binary(max_size=200))
def test_bytes_that_mean_nothing_are_refused(data: bytes) -> None:
    read(data)


def test_what_is_written_can_be_read_and_has_no_line_breaks() -> None:
    for text in (
        messages.request(7, "m", {"text": "a\nb"}),
        messages.notification("m", None),
        messages.success("x", {"a": [1]}),
        messages.failure(None, RpcError(-32000, "no\n", {"why": 1})),
    ):
        assert b"\n" not in text
        assert json.loads(text)["jsonrpc"] == "2.0"
    assert json.loads(messages.success(1, None)) == {"jsonrpc": "2.0", "id": 1, "result": None}
    assert json.loads(messages.array([b"1", b"2"])) == [1, 2]


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line)), st.integers(1, 7))
def test_lines_are_the_same_however_they_are_cut(given_lines: list[bytes], size: int) -> None:
    data = b"\n".join(given_lines)
    lines = Lines(max_bytes=10)
    found = [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])] + lines.end()
    wanted = [Line(None) if len(line) > 10 else Line(line.strip()) for line in given_lines]
    assert found == [line for line in wanted if line.data != b""]
