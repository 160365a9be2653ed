"""What the supervisor and its children tell each other: one message in each packet of a socket pair."""

import contextlib
import socket
from typing import Final

import msgspec

from chronicle.control.failures import Failure
from chronicle.control.messages import HolderRequest, Restored

_PACKET_BYTES: Final = 128 * 1024
"""Largest message: a path of 4,096 bytes and some words; the answer of a restore names its paths by a file."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The worker serves."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The worker could not begin, and ends."""

    failure: Failure


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Everything is recorded and the mount is gone; the worker ends. `lazy`: why it had to be taken from processes that use it."""

    lazy: str | None = None


class NeedHand(msgspec.Struct, frozen=True, tag=True):
    """The worker wants a process that works through the mount (see `hands`). Its end of the line comes along."""


class Leave(msgspec.Struct, frozen=True, tag=True):
    """To the worker: record everything, unmount, end."""


class Job(msgspec.Struct, frozen=True, tag=True):
    """To a hand: do this through the mount. `head`: what is the newest iteration, for a restore."""

    request: HolderRequest
    head: int


class Done(msgspec.Struct, frozen=True, tag=True):
    """A hand's answer."""

    failure: Failure | None = None
    restored: Restored | None = None


Message = Ready | Failed | Ended | NeedHand | Leave | Job | Done

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a line that keeps messages apart and sees when the other end is gone."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def tell(line: socket.socket, message: Message, descriptor: int | None = None) -> bool:
    """Sends a message, with a descriptor if one is given; False when nobody is at the other end any more."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
        socket.send_fds(line, [_encoder.encode(message)], [] if descriptor is None else [descriptor])
        return True
    return False


def hear(line: socket.socket) -> tuple[Message | None, int | None]:
    """The next message, with its descriptor; (None, None) when the other end is gone.

    Raises:
        TimeoutError, BlockingIOError: as the socket is set.
    """
    try:
        raw, descriptors, _, _ = socket.recv_fds(line, _PACKET_BYTES, 1)
    except ConnectionResetError:
        return None, None
    if not raw:
        return None, None
    return _decoder.decode(raw), descriptors[0] if descriptors else None
