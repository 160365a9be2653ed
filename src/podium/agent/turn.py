"""One turn: what was asked, what reaches it while it runs, what it left open."""

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from podium.wire.ids import ENTROPY_BYTES, make_id
from podium.wire.link import Message, Origin

if TYPE_CHECKING:
    from podium.agent.message import MessageHandle
    from podium.agent.tools import ToolCallHandle


class UserMessage(dict[str, Any]):
    """What the user sent: `message["text"]`, `message.get("attachments")`, and whatever metadata came with it."""

    @property
    def text(self) -> str:
        """The text; empty when there is none."""
        return str(self.get("text") or "")

    @property
    def attachments(self) -> list[Any]:
        """The attachments; empty when there are none."""
        return list(self.get("attachments") or ())


class Turn:
    """The turn of one user message."""

    def __init__(self, frame: Message) -> None:
        import asyncio  # here, not above: importing the SDK stays cheap, see docs/reference/python-sdk.md

        self._id = frame.turn_id
        self._attempt = frame.attempt
        self._message_id = frame.id
        self._origin = frame.origin
        self._traceparent = frame.traceparent
        self.message = UserMessage(frame.data)
        self.begun = False
        self.cancelled: asyncio.Event = asyncio.Event()
        self.over: asyncio.Event = asyncio.Event()
        self.steers: deque[str] = deque()
        self.steered = asyncio.Event()
        self.open_message: MessageHandle | None = None
        self.unsettled_calls: list[ToolCallHandle] = []
        self._asked: dict[bytes, int] = {}

    @property
    def id(self) -> str:
        """`turn-…`."""
        return self._id

    @property
    def attempt(self) -> int:
        """1, or higher when the turn is run again after a crash."""
        return self._attempt

    @property
    def message_id(self) -> str:
        """The id of the user message."""
        return self._message_id

    @property
    def origin(self) -> Origin:
        """Where the message came from: tenant, role, channel."""
        return self._origin

    @property
    def traceparent(self) -> str:
        """The W3C trace context of the turn: what is done in it belongs below; empty when it has none."""
        return self._traceparent

    def __repr__(self) -> str:
        return f"Turn(id={self._id!r}, attempt={self._attempt}, message_id={self._message_id!r})"

    def request_id(self, asked: Any) -> str:
        """The id of a question or permission: the same when the turn is run again and asks the same again.

        It is made of the turn, what is asked, and how many times the turn asked exactly this before. The coordinator
        recognises it, and answers at once when the answer came while the process was away. What is asked is part of
        it, so that leave for one thing is never taken for leave for another.
        """
        fingerprint = hashlib.sha256(msgspec.json.encode(asked)).digest()
        ordinal = self._asked[fingerprint] = self._asked.get(fingerprint, -1) + 1
        seed = b"%b\0%b\0%d" % (self._id.encode(), fingerprint, ordinal)
        return make_id("req", hashlib.sha256(seed).digest()[:ENTROPY_BYTES])

    def steer(self, text: str) -> None:
        """Text for the running turn arrived."""
        self.steers.append(text)
        self.steered.set()
