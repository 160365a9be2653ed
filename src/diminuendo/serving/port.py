"""What a client may do, independent of how it is connected: the WebSocket of the client protocol and ACP both stand on this.

```python
answer = await sessions.handle(caller, CreateSession(agent_type="coder"))      # everything that is asked and answered
async with await watch(sessions, caller, answer.session.session_id) as events:  # what happens in a session, as it happens
    await sessions.handle(caller, RunTurn(session_id=…, text="hello", client_turn_id="t1"))
    async for event in events:
        ...
```

`caller` is the `Identity` of `auth.Verified`. Whoever calls has checked the credentials, and ends what it holds for the caller when
they end; what the caller may do is checked here, with each call. All of it belongs to one event loop.
"""

from typing import Protocol

from diminuendo.protocol.answers import AnswerMessage, Identity, ServerMessage, StateSnapshot
from diminuendo.protocol.messages import ClientMessage, JoinSession
from diminuendo.serving.batch import Batch


class Reader(Protocol):
    """Who is told what happens in a session. The calls come from the event loop; none may wait or raise."""

    @property
    def is_full(self) -> bool:
        """Whether no more should be told now. Nothing is lost by that: what comes meanwhile is read from the session's database
        when `Seat.go_on` says that there is room again, so that a slow reader costs no memory."""
        ...

    def told(self, batch: Batch) -> None:
        """Events, each exactly once, in order, without a gap."""
        ...

    def informed(self, message: ServerMessage) -> None:
        """Something without a number: a `StateSnapshot` when the conversation is another one now (the agent was taken back to an
        earlier moment), `SessionUpdated` when the session was renamed or archived, `SessionDeleted`; after the last of these
        nothing follows."""
        ...

    def ended(self, reason: str) -> None:
        """Nothing follows, although the session is still there: Diminuendo stops, or its data can't be read. Join again, behind the
        last event. `reason` is a sentence for a person."""
        ...


class Seat(Protocol):
    """A reader's place in a session."""

    @property
    def snapshot(self) -> StateSnapshot:
        """The session as it was when it was joined. Events behind `last_seq` are not in it."""
        ...

    def begin(self) -> None:
        """The reader has seen the snapshot: from now on it is told events, beginning with those behind `after_seq`, or behind the
        snapshot where that was not given."""
        ...

    def go_on(self) -> None:
        """The reader is not full any more."""
        ...

    def leave(self) -> None:
        """Nothing more is told. Doing so twice is fine."""
        ...


class Sessions(Protocol):
    """The sessions of all tenants. Sessions another replica works on are reached through it."""

    async def handle(self, caller: Identity, message: ClientMessage) -> AnswerMessage:
        """The answer to a message, with its `request_id`. Takes all messages but `authenticate`, `ping`, `join_session`, `leave_session`.

        `run_turn` returns an `Ack` with the `turn_id` when the agent's host has made the message durable: what the turn says comes
        as events, to all who joined. It waits while the session is activated; several turns of a session are taken up in the order
        in which they came here. The same `client_turn_id` again gives the same `turn_id`, and is done once; also after a crash.

        Cancelled, it may have been done or not.

        Raises:
            ProtocolError: it can't be done; the code says why, and `request_id` is the message's.
        """
        ...

    async def join(self, caller: Identity, message: JoinSession, reader: Reader) -> Seat:
        """A place in the session for `reader`, who is told nothing before `Seat.begin`. Whoever joins leaves.

        Raises:
            ProtocolError: there is no such session, or it can't be read now.
        """
        ...
