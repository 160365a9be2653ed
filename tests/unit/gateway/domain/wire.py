"""Frames as coordinators and clients write them, for the tests of the stream path."""

import os
import struct

from podium.wire.envelope import EventRow, FrameWriter, local_frame

MARK = bytes(range(16))
SYNC = b"\x8a\x10" + MARK
WRITER = FrameWriter("agt-test")


def server_frame(payload: bytes, opcode: int = 1) -> bytes:
    """An unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + struct.pack("!H", size) + payload
    return bytes((0x80 | opcode, 127)) + struct.pack("!Q", size) + payload


def client_frame(payload: bytes, opcode: int = 1, *, final: bool = True) -> bytes:
    """A masked frame."""
    head = bytearray(server_frame(payload, opcode)[: len(server_frame(payload, opcode)) - len(payload)])
    head[0] = (0x80 if final else 0) | opcode
    head[1] |= 0x80
    mask = os.urandom(4)
    return bytes(head) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def event(seq: int, text: str = "") -> bytes:
    """A numbered event's frame; the same for the same arguments."""
    content = b'{"text":"%b","seq":7,"ts":9}' % text.encode()
    return server_frame(
        WRITER.write(EventRow(seq, "stream_update", content, "inst-a", "turn-a", 1_700_000_000_000 + seq))
    )


def connected(last_seq: int) -> bytes:
    """The greeting."""
    content = {
        "protocol": 1,
        "instance_id": "inst-a",
        "agent_id": "agt-test",
        "deployment_id": "e:1@0",
        "status": "ready",
    }
    return server_frame(local_frame("connected", {**content, "last_seq": last_seq}))


def ack(command_id: str) -> bytes:
    """An acknowledgement, which names a seq of its own."""
    return server_frame(local_frame("ack", {"id": command_id, "seq": 999_999}))
