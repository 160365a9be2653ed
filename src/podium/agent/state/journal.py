"""The operations recorded since they were last taken, and the plain containers the state was given.

Nothing here knows what a list or a dict is: nodes say what happened, the journal keeps it in order.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import msgspec

from podium.wire.patch import Op

Verb = Literal["add", "remove", "replace"]

FRAME_OPS_MAX_BYTES: Final = 8 * 1024 * 1024
"""Operations taken at once are cut into pieces of about this size, half of what a frame may hold."""

SOURCES_MIN: Final = 64
"""Below this many remembered sources none is looked at again."""

_HELD_BY_US: Final = 3
"""References to a source nobody else knows: the slot of its node, a local variable, the argument of `getrefcount`."""

_encode = msgspec.json.Encoder().encode


def _nobody() -> None:
    """Default of `Journal.notify`."""


class Journal:
    """What happened to one state. `notify` is called when the first operation after a `take` is recorded."""

    __slots__ = ("_sources", "_sources_limit", "notify", "ops")

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.notify: Callable[[], None] = _nobody
        self._sources: dict[int, Any] = {}
        self._sources_limit = SOURCES_MIN

    def record(self, op: Op) -> None:
        """Appends `op`; a second replacement of the same place in a row takes the place of the first."""
        ops = self.ops
        if not ops:
            ops.append(op)
            self.notify()
            return
        last = ops[-1]
        if last.path == op.path and op.op == "replace" and last.op == "replace":
            ops[-1] = op
        else:
            ops.append(op)

    def take(self) -> list[bytes]:
        """The recorded operations as JSON arrays of a size that fits a frame, in order; they are then forgotten."""
        if not self.ops:
            return []
        ops, self.ops = self.ops, []
        if len(self._sources) > self._sources_limit:
            self._forget_sources()
        whole = _encode(ops)
        if len(whole) <= FRAME_OPS_MAX_BYTES:
            return [whole]
        return [b"[" + b",".join(piece) + b"]" for piece in _pieces(ops)]

    # ── sources: plain containers that were assigned, so that a second assignment of the same one is noticed ────

    def remember_source(self, node: Any) -> None:
        """`node` was made from the plain container in its `_source`."""
        self._sources[id(node._source)] = node

    def made_from(self, source: Any) -> Any:
        """The node made from this very container, if it is remembered; it may have left the state since."""
        node = self._sources.get(id(source))
        return node if node is not None and node._source is source else None

    def _forget_sources(self) -> None:
        """Lets go of sources nobody else holds: they can't be assigned again. Outer ones come first, freeing inner ones."""
        kept: dict[int, Any] = {}
        for key, node in self._sources.items():
            source = node._source
            if source is None or sys.getrefcount(source) <= _HELD_BY_US:
                node._source = None
            else:
                kept[key] = node
        self._sources = kept
        self._sources_limit = max(SOURCES_MIN, 2 * len(kept))


def _pieces(ops: list[Op]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for op in ops:
        encoded = _encode(op)
        if piece and size + len(encoded) > FRAME_OPS_MAX_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(encoded)
        size += len(encoded)
    yield piece
