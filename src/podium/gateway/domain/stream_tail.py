"""What a client has been given, remembered just far enough to go on at exactly the right byte.

Forwarding costs one append and one addition. The coordinator marks frame boundaries about every 64 KiB with a pong whose
payload it was given (`Podium-Sync`), so that most of what was forwarded can be forgotten without walking its frames; where
there is no mark, the frames are walked. Only when the coordinator is lost is anything parsed.
"""

import re
from typing import Final, NamedTuple

import msgspec

from podium.gateway.domain.frames import CLOSE, FIRST_CONTROL, last_boundary, pong_frame, read_head
from podium.wire.events import LOCAL_FRAMES

MARK_BYTES: Final = 16
"""Length of the mark between frames."""

KEEP_BYTES: Final = 128 * 1024
"""How much may be kept before it is looked through for a mark. There is one tail for each connection."""

_SEQ = b',"seq":'
_END_OF_EVENT = re.compile(rb',"seq":([0-9]+),"ts":[0-9]+\}')
_LOCAL: Final = tuple(sorted(b'{"messageType":"%b"' % name.encode() for name in LOCAL_FRAMES))


class ResumePoint(NamedTuple):
    """Where a lost stream must go on.

    `after`: the `seq` to resume behind; None: nothing was promised yet, from now on will do. `greeted`: the client has seen
    all of `connected`. `partial`: what it has of a frame that is not whole.
    """

    after: int | None
    greeted: bool
    partial: bytes


class StreamTail:
    """The end of what was forwarded to one client. `after` is what the client itself asked for."""

    __slots__ = ("_after", "_greeting", "_mark", "_seq", "chunks", "size", "threshold")

    def __init__(self, mark: bytes, after: int | None) -> None:
        self.chunks: list[bytes] = []
        """Forwarded since a frame boundary; whoever appends adds to `size`, and calls `trim` above `threshold`."""
        self.size = 0
        self.threshold = KEEP_BYTES
        self._mark = pong_frame(mark)
        self._after = after
        self._greeting: int | None = None
        self._seq = 0

    def forwarded(self, chunk: bytes) -> None:
        """Remembers what was forwarded; the hot path does the same inline."""
        self.chunks.append(chunk)
        self.size += len(chunk)
        if self.size > self.threshold:
            self.trim()

    def trim(self) -> None:
        """Forgets what lies before the last boundary that can be found."""
        data = self._joined()
        boundary = data.rfind(self._mark)
        if boundary <= 0:
            boundary = last_boundary(data)
        self._learn(data[:boundary])
        rest = data[boundary:]
        self.chunks, self.size = [rest], len(rest)
        self.threshold = len(rest) + KEEP_BYTES

    def resume_point(self) -> ResumePoint:
        """Where to go on. What was remembered is reduced to the partial frame."""
        data = self._joined()
        boundary = last_boundary(data)
        self._learn(data[:boundary])
        partial = data[boundary:]
        self.chunks, self.size = ([partial] if partial else []), len(partial)
        self.threshold = len(partial) + KEEP_BYTES
        known = [seq for seq in (self._after, self._greeting, self._seq or None) if seq is not None]
        return ResumePoint(max(known) if known else None, self._greeting is not None, partial)

    def missing(self) -> int:
        """How many bytes the frame under way still needs; 0 between frames. At least 1 while its head is not whole."""
        data = self._joined()
        boundary = last_boundary(data)
        if boundary == len(data):
            return 0
        head = read_head(data, boundary)
        return 1 if head is None else head.end - len(data)

    def said_close(self) -> bool:
        """Whether the last whole frame that was forwarded is a close frame."""
        data = self._joined()
        at, last = 0, None
        while (head := read_head(data, at)) is not None and head.end <= len(data):
            at, last = head.end, head
        return last is not None and last.opcode == CLOSE

    def _joined(self) -> bytes:
        if len(self.chunks) != 1:
            self.chunks = [b"".join(self.chunks)]
        return self.chunks[0]

    def _learn(self, frames: bytes) -> None:
        """Takes from whole frames what will be needed when they are forgotten."""
        if self._greeting is None and frames:
            self._greeting = greeting_of(frames)
        seq = last_seq(frames)
        if seq is not None and seq > self._seq:
            self._seq = seq


def last_seq(frames: bytes) -> int | None:
    """The `seq` of the last numbered event in whole frames; None when there is none.

    An event ends with its own `seq` and `ts`, behind its content; no unnumbered frame holds both in this way. A quote inside
    a JSON string is escaped, so that text can't look like this.
    """
    at = len(frames)
    while (at := frames.rfind(_SEQ, 0, at)) >= 0:
        found = _END_OF_EVENT.match(frames, at)
        if found is not None:
            return int(found[1])
    return None


def greeting_of(frames: bytes) -> int | None:
    """`last_seq` of `connected`, the first text frame; None when there is none yet."""
    at = 0
    while (head := read_head(frames, at)) is not None and head.end <= len(frames):
        if head.opcode < FIRST_CONTROL:
            try:
                return msgspec.json.decode(frames[head.start : head.end], type=_Greeting).content.last_seq
            except msgspec.DecodeError:
                return None
        at = head.end
    return None


def is_local(partial: bytes) -> bool:
    """Whether the partial frame is, for certain, an unnumbered one: such a frame does not come again."""
    head = read_head(partial, 0)
    if head is None or head.opcode >= FIRST_CONTROL:
        return False
    payload = partial[head.start :]
    return payload.startswith(_LOCAL)


class _GreetingContent(msgspec.Struct):
    last_seq: int


class _Greeting(msgspec.Struct):
    content: _GreetingContent
