"""What an event changes besides being written down: the conversation, what waits for an answer, the running turn."""

from collections.abc import Iterable

from diminuendo.domain.events import (
    ApprovalResolved,
    ClientEvent,
    PermissionRequested,
    QuestionRequested,
    TurnComplete,
    TurnError,
    TurnStarted,
    type_of,
)
from diminuendo.domain.mapper import Said
from diminuendo.domain.rewinds import Rewind, hidden
from diminuendo.storage.writer import Command

_SAY = "INSERT INTO history (role, text, turn_id, ts, stop_reason, podium_seq) VALUES (?, ?, ?, ?, ?, ?)"


def conversation(said: Said, podium_seq: int | None) -> Command:
    """The statement that keeps what a person said."""
    return Command(_SAY, ("user", said.text, said.turn_id, said.ts, None, podium_seq))


def rewound(earlier: Iterable[Rewind], rewind: Rewind) -> list[Command]:
    """The statements that keep a rewind, after `earlier` ones, and hide what no longer counts."""
    hiding = [
        Command("UPDATE history SET hidden = 1 WHERE podium_seq > ? AND podium_seq < ?", span)
        for span in hidden([*earlier, rewind])
    ]
    return [Command("INSERT INTO rewind VALUES (?, ?)", rewind), Command("UPDATE history SET hidden = 0"), *hiding]


def commands(event: ClientEvent, frame: bytes, podium_seq: int | None) -> list[Command]:
    """The statements that keep a numbered event, whose JSON is `frame`. The first writes the event itself."""
    written = Command(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?)", (event.seq, type_of(event), event.turn_id, event.ts, frame)
    )
    return [written, *_consequences(event, podium_seq)]


def _consequences(event: ClientEvent, podium_seq: int | None) -> list[Command]:
    match event:
        case TurnStarted():
            return [Command("UPDATE cursor SET turn_id = ?", (event.turn_id,))]
        case TurnComplete():
            said = Command(
                _SAY, ("assistant", event.final_text, event.turn_id, event.ts, event.stop_reason, podium_seq)
            )
            return [said, *_TURN_OVER]
        case TurnError():
            return _TURN_OVER
        case QuestionRequested() | PermissionRequested():
            return [Command("INSERT OR REPLACE INTO request VALUES (?, ?)", (event.request_id, event.seq))]
        case ApprovalResolved():
            return [Command("DELETE FROM request WHERE request_id = ?", (event.request_id,))]
    return []


_TURN_OVER = [Command("DELETE FROM request"), Command("UPDATE cursor SET turn_id = NULL")]
