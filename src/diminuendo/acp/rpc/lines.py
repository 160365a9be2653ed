"""Messages that come as lines of a byte stream. Pure."""

from typing import NamedTuple

from diminuendo.acp.rpc.messages import MESSAGE_MAX_BYTES


class Line(NamedTuple):
    """A line without its end; None: it was too long to be kept."""

    data: bytes | None


class Lines:
    """Cuts a stream into lines. Empty ones are passed over; one that is too long is forgotten as it comes."""

    def __init__(self, max_bytes: int = MESSAGE_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._begun = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[Line]:
        """The lines that end in `data`."""
        found: list[Line] = []
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            found += self._taken()
        self._add(rest)
        return found

    def end(self) -> list[Line]:
        """The last line, when nothing follows it."""
        return self._taken()

    def _add(self, piece: bytes) -> None:
        if self._skipping:
            return
        if len(self._begun) + len(piece) > self._max_bytes:
            self._begun.clear()
            self._skipping = True
        else:
            self._begun += piece

    def _taken(self) -> list[Line]:
        line = Line(None) if self._skipping else Line(bytes(self._begun).strip())
        self._begun.clear()
        self._skipping = False
        return [] if line.data == b"" else [line]
