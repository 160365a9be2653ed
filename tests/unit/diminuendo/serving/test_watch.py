"""A session's events as an async iterator."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from diminuendo.domain.events import TextDelta, encode
from diminuendo.protocol.answers import AnswerMessage, Identity, Session, SessionDeleted, StateSnapshot
from diminuendo.protocol.messages import ClientMessage, JoinSession
from diminuendo.serving.audience import Audience
from diminuendo.serving.port import Reader, Seat
from diminuendo.serving.watch import UNREAD_MAX, Watch, WatchEndedError, watch
from diminuendo.storage.session_store import StoredEvent

ANN = Identity("ann", "", "acme", "member")
SESSION = Session("sess-a", "coder", "sess-a", "", "ready", False, "ann", 1, 1, {})


class One:
    """One session (a `Sessions`)."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.audience = Audience(self)

    def say(self, *texts: str) -> None:
        for text in texts:
            event = TextDelta(session_id="sess-a", turn_id="t", text=text, seq=len(self.events) + 1, ts=1)
            self.events.append(StoredEvent(event.seq, encode(event)))
            self.audience.tell(self.events[-1:])

    def events_after(self, seq: int, limit: int, max_bytes: int | None = None) -> list[StoredEvent]:
        return self.events[seq : seq + limit]

    async def handle(self, caller: Identity, message: ClientMessage) -> AnswerMessage:
        raise AssertionError("nobody asks here")

    async def join(self, caller: Identity, message: JoinSession, reader: Reader) -> Seat:
        snapshot = StateSnapshot(session=SESSION, recent_history=[], last_seq=len(self.events), pending=[])
        return self.audience.seat(reader, snapshot, message.after_seq)


async def test_it_gives_what_was_missed_and_what_comes_as_events() -> None:
    one = One()
    one.say("a", "b")
    async with await watch(one, ANN, "sess-a", after_seq=1) as watching:
        assert watching.snapshot.last_seq == 2
        one.say("c")
        texts = []
        async for event in watching:
            assert isinstance(event, TextDelta)
            texts.append(event.text)
            if len(texts) == 2:
                break
        assert (texts, watching.last_seq) == (["b", "c"], 3)
    assert len(one.audience) == 0


@pytest.mark.proves("DIM-SLOW-CLIENTS")
async def test_it_keeps_no_more_than_it_may_and_loses_nothing() -> None:
    one = One()
    async with await watch(one, ANN, "sess-a") as watching:
        total = 3 * UNREAD_MAX
        for number in range(total):
            one.say(str(number))
            if number % 100 == 0:
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(watching._unread) <= 2 * UNREAD_MAX, "what fills it may be a page more"
        heard = [int(event.text) async for event in _some(watching, total)]
        assert heard == list(range(total))


async def _some(watching: Watch, count: int) -> AsyncIterator[TextDelta]:
    for _ in range(count):
        event = await anext(watching)
        assert isinstance(event, TextDelta)
        yield event


async def test_it_ends_with_the_session_and_raises_when_it_can_go_on_elsewhere() -> None:
    one = One()
    deleted = await watch(one, ANN, "sess-a")
    one.say("a")
    one.audience.inform(SessionDeleted(session_id="sess-a"))
    assert [type(event) async for event in deleted] == [TextDelta, SessionDeleted]
    moving = await watch(one, ANN, "sess-a", after_seq=0)
    for _ in range(5):
        await asyncio.sleep(0)
    one.audience.end("moving")
    assert isinstance(await anext(moving), TextDelta)
    with pytest.raises(WatchEndedError, match="moving") as ended:
        await anext(moving)
    assert ended.value.last_seq == 1
    closed = await watch(one, ANN, "sess-a")
    closed.close()
    assert [event async for event in closed] == []
