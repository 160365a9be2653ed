"""The first frames of an attached-again stream: what of them the client must still get. Pure; bytes in, bytes out."""

from podium.gateway.domain.frames import CLOSE, FIRST_CONTROL, Head, close_code, read_head
from podium.gateway.domain.stream_tail import ResumePoint, is_local


class UnfinishableError(Exception):
    """The client has half of a frame that will not come again; its connection must be cut."""


class RefusedError(Exception):
    """The coordinator closed the new connection instead of greeting."""

    def __init__(self, payload: bytes) -> None:
        self.code = close_code(payload)
        self.reason = payload[2:].decode("utf-8", "replace")
        super().__init__(f"closed with {self.code}: {self.reason}")


class Recovery:
    """Swallows the new `connected`, then finds the frame the client has a part of and goes on behind that part. For a client that
    has nothing yet, it waits for the `connected`.

    Feed it what the coordinator sends until `done`; send the client what `feed` returns.

    Raises:
        UnfinishableError: at once, when the part is of an unnumbered frame.
    """

    def __init__(self, point: ResumePoint) -> None:
        if is_local(point.partial) and point.greeted:
            raise UnfinishableError
        self._greeting_due = point.greeted
        self._partial, self._completion = _completed(point.partial)
        self._first_due = not point.greeted and not self._partial
        self._buffer = bytearray()
        self._held = b""
        self.done = False

    @property
    def completion(self) -> bytes:
        """What finishes a control frame the client has a part of; to be sent to it first."""
        return self._completion

    def feed(self, data: bytes) -> bytes:
        """What the client gets of `data` and of what was held back.

        Raises:
            UnfinishableError: the frame the client has a part of is not the one that came.
            RefusedError: the coordinator closed the connection.
        """
        self._buffer += data
        while not self.done:
            head = read_head(self._buffer, 0)
            if not self._greeting_due and not self._partial and not self._first_due:
                return self._finish(b"")
            if head is None or head.end > len(self._buffer):
                return b""
            frame = bytes(self._buffer[: head.end])
            del self._buffer[: head.end]
            if (out := self._take(head, frame)) is not None:
                return out
        return b""

    def _take(self, head: Head, frame: bytes) -> bytes | None:
        if head.opcode == CLOSE:
            raise RefusedError(frame[head.start :])
        if head.opcode >= FIRST_CONTROL:
            if not self._greeting_due:
                self._held += frame
            return None
        if self._greeting_due:
            self._greeting_due = False
            return None
        if self._first_due:
            self._held += frame
            return self._finish(b"")
        if frame.startswith(self._partial):
            return self._finish(frame[len(self._partial) :])
        if not is_local(frame):
            raise UnfinishableError
        self._held += frame
        return None

    def _finish(self, first: bytes) -> bytes:
        out = first + self._held + bytes(self._buffer)
        self._buffer.clear()
        self.done = True
        return out


def _completed(partial: bytes) -> tuple[bytes, bytes]:
    """Splits what the client has: a part of an event (to be matched), or what completes a control frame at once."""
    if not partial or (partial[0] & 0x0F) < FIRST_CONTROL:
        return partial, b""
    if partial[0] & 0x0F == CLOSE:
        raise UnfinishableError
    head = read_head(partial, 0)
    if head is None:
        return b"", bytes(1)
    return b"", bytes(head.end - len(partial))
