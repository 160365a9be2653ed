"""Frames as a server sends them are read back by the library as what they were."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from podium.base.http.framing import close_frame, ping_frame, pong_frame, text_frame


def read(data: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=False)
    try:
        next(parsing)
    except StopIteration as done:
        frame: Frame = done.value
        assert reader.buffer == b""
        return frame
    raise AssertionError("the frame is not whole")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])
def test_a_text_of_any_size_is_one_frame(size: int) -> None:
    frame = read(text_frame(b"x" * size))
    assert (frame.opcode, frame.fin, len(frame.data)) == (Opcode.TEXT, True, size)


def test_control_frames_say_what_they_mean() -> None:
    assert read(ping_frame()).opcode is Opcode.PING
    assert (read(pong_frame(bytes(16))).opcode, read(pong_frame(bytes(16))).data) == (Opcode.PONG, bytes(16))
    closing = read(close_frame(4409, "stopped"))
    assert (closing.opcode, bytes(closing.data)) == (Opcode.CLOSE, (4409).to_bytes(2, "big") + b"stopped")
