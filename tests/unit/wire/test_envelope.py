"""Frames are a pure function of the journal row."""

import json

import pytest

from podium.wire.envelope import EventRow, FrameWriter, local_frame, read_event, read_raw_event


def test_a_frame_reads_back_as_the_row_it_was_written_from() -> None:
    row = EventRow(42, "tool.call", '{"arguments":{"q":"ü\\n"}}'.encode(), "inst-a", "turn-b", 1767225600123)
    frame = FrameWriter('agt-"quoted"').write(row)
    event = read_event(frame)
    assert (event.seq, event.message_type, event.instance_id, event.turn_id, event.ts) == (
        42, "tool.call", "inst-a", "turn-b", 1767225600123,
    )  # fmt: skip
    assert event.agent_id == 'agt-"quoted"'
    assert event.content == {"arguments": {"q": "ü\n"}}
    assert frame == FrameWriter('agt-"quoted"').write(row)


def test_absent_parts_are_absent_from_the_frame() -> None:
    assert json.loads(FrameWriter("a").write(EventRow(1, "thinking.start", b"", "i", "", 2))) == {
        "messageType": "thinking.start", "agentId": "a", "instanceId": "i", "seq": 1, "ts": 2,
    }  # fmt: skip


def test_connection_local_frames_have_no_number() -> None:
    assert read_event(local_frame("pong")).seq == 0
    assert read_event(local_frame("ack", {"id": "1"})).content == {"id": "1"}


def test_a_reader_may_leave_the_content_unparsed() -> None:
    assert bytes(read_raw_event(b'{"messageType":"x","content":{"a":1}}').content) == b'{"a":1}'


@pytest.mark.parametrize("name", ["messageType", "seq"])
def test_unknown_fields_are_ignored_so_that_the_envelope_can_grow(name: str) -> None:
    assert read_event(json.dumps({"messageType": "x", "seq": 3, "later": {name: 1}})).seq == 3
