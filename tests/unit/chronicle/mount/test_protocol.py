"""Structures of the FUSE protocol: sizes and places as `linux/fuse.h` has them."""

import errno
import os
import stat
import struct

import pytest

from chronicle.mount import protocol
from chronicle.mount.protocol import Initialisation, Request

ATTRIBUTES = tuple(range(1, 17))


def _request(opcode: int, body: bytes, *, unique: int = 7, node: int = 3) -> Request:
    raw = protocol.HEADER.pack(40 + len(body), opcode, unique, node, 1000, 1001, 42, 0) + body
    return Request(raw + b"beyond", len(raw))


def test_a_request_is_read_with_its_names() -> None:
    request = _request(protocol.RENAME2, struct.pack("<QII", 9, 1, 0) + b"old\0new\0")
    assert (request.opcode, request.unique, request.node, request.uid, request.gid, request.pid) == (
        45,
        7,
        3,
        1000,
        1001,
        42,
    )
    assert request.names(16) == (b"old", b"new")
    assert _request(protocol.UNLINK, b"n\0").name() == b"n"
    assert not request.prepared


def test_a_kept_request_outlives_its_buffer() -> None:
    buffer = bytearray(protocol.HEADER.pack(44, protocol.UNLINK, 1, 2, 0, 0, 0, 0) + b"abc\0")
    request = Request(buffer, len(buffer))
    request.keep()
    buffer[40:] = b"xyz\0"
    assert request.name() == b"abc"


def test_a_request_that_was_sent_again_is_known() -> None:
    assert _request(protocol.MKDIR, b"", unique=protocol.UNIQUE_RESEND | 5).resent
    assert not _request(protocol.MKDIR, b"", unique=5).resent


@pytest.mark.parametrize("extended", [True, False])
def test_what_the_kernel_offers_has_64_flags_when_it_says_so(extended: bool) -> None:
    flags = protocol.ASYNC_READ | (protocol.INIT_EXT if extended else 0)
    major, offered = protocol.parse_init(
        struct.pack("<IIIII", 7, 45, 4096, flags, protocol.PASSTHROUGH >> 32) + bytes(44)
    )
    assert major == 7
    assert offered.minor == 45
    assert bool(offered.flags & protocol.PASSTHROUGH) is extended


def test_the_answer_to_init_has_64_bytes_and_its_fields_in_place() -> None:
    agreed = Initialisation(40, protocol.PASSTHROUGH | protocol.ASYNC_READ, 131072, 1 << 20)
    reply = protocol.init_reply(1, agreed)
    assert len(reply) == 16 + 64
    body = reply[16:]
    assert struct.unpack_from("<IIIIHHI", body) == (7, 40, 131072, 1, 65535, 65535, 1 << 20)
    assert struct.unpack_from("<H", body, 28) == (256,), "pages of one request"
    assert struct.unpack_from("<II", body, 32) == (1 << 5, 2), "flags2, depth of the stack"
    assert struct.unpack_from("<I", protocol.init_reply(1, agreed._replace(flags=0))[16:], 36) == (0,)


@pytest.mark.parametrize(
    ("reply", "size"),
    [
        (protocol.ok(1), 16),
        (protocol.entry(1, 2, (3, 4), ATTRIBUTES), 16 + 128),
        (protocol.entry_opened(1, 2, (3, 4), ATTRIBUTES, (5, 6, 7)), 16 + 128 + 16),
        (protocol.attributes(1, (3, 4), ATTRIBUTES), 16 + 104),
        (protocol.opened(1, 2, 3, 4), 16 + 16),
        (protocol.written(1, 2), 16 + 8),
        (protocol.sized(1, 2), 16 + 8),
        (protocol.position(1, 2), 16 + 8),
        (protocol.statfs(1, (1, 2, 3, 4, 5, 6, 7, 8)), 16 + 80),
        (protocol.data(1, b"abc"), 19),
        (protocol.resend(), 16),
        (protocol.invalidate_attributes(5), 40),
    ],
)
def test_replies_say_how_long_they_are(reply: bytes, size: int) -> None:
    assert len(reply) == size == struct.unpack_from("<I", reply)[0]


def test_errors_are_negative_and_never_missing() -> None:
    assert struct.unpack("<IiQ", protocol.failed(9, errno.ENOENT)) == (16, -errno.ENOENT, 9)
    assert struct.unpack("<IiQ", protocol.failed(9, None)) == (16, -errno.EIO, 9)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 255])
def test_entries_are_padded_to_eight_bytes(length: int) -> None:
    name = b"n" * length
    plain = protocol.directory_entry(1, 2, 8, name)
    plus = protocol.directory_entry_plus(1, (0, 0), ATTRIBUTES, 2, 8, name)
    assert len(plain) == protocol.directory_entry_bytes(name, plus=False)
    assert len(plus) == protocol.directory_entry_bytes(name, plus=True)
    assert len(plain) % 8 == len(plus) % 8 == 0
    assert plain[24 : 24 + length] == name


def test_times_before_1970_travel_as_unsigned_numbers(tmp_path: os.PathLike[str]) -> None:
    os.utime(tmp_path, ns=(-1_500_000_000, -1))
    values = protocol.attributes_of(os.stat(tmp_path))
    assert protocol.signed(values[3]) * protocol.SECOND + values[6] == -1_500_000_000
    assert protocol.signed(values[4]) * protocol.SECOND + values[7] == -1
    assert stat.S_ISDIR(values[9])
    assert len(protocol.entry(1, 1, (0, 0), values)) == 144
