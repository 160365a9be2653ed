"""Messages about one session that is at work: talking to its agent, reading what was said, looking at its files."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import msgspec
from msgspec import UNSET

from diminuendo.protocol import messages
from diminuendo.protocol.answers import (
    Ack,
    AnswerMessage,
    Events,
    FileContent,
    FileList,
    FileVersions,
    History,
)
from diminuendo.protocol.messages import ClientMessage
from diminuendo.serving.pages import PAGE_MAX_BYTES, fitting
from diminuendo.serving.working import SessionAtWork
from podium.client import FileContent as PodiumFile
from podium.client import PodiumConnectionError
from podium.wire import commands
from podium.wire.errors import ErrorCode

IN_A_TURN: Final = (messages.StopTurn, messages.Steer, messages.AnswerQuestion)
"""Messages to a turn that runs."""


async def _run_turn(session: SessionAtWork, message: messages.RunTurn) -> AnswerMessage:
    # Its id makes it one command, however often it is sent: by us over a lost connection, or by a client that saw no answer.
    command = commands.ProcessMessage(
        content={**session.record.metadata, **(message.metadata or {}), "text": message.text},
        id=message.client_turn_id or f"cmd-{uuid4().hex}",
    )
    ack = await (await session.connected()).send(command)
    return Ack(turn_id=UNSET if ack.turn_id is None else ack.turn_id)


async def _stop_turn(session: SessionAtWork, _message: messages.StopTurn) -> AnswerMessage:
    await (await session.connected()).send(commands.Cancel())
    return Ack()


async def _steer(session: SessionAtWork, message: messages.Steer) -> AnswerMessage:
    await (await session.connected()).send(commands.Steer(commands.SteerContent(message.text)))
    return Ack()


async def _answer_question(session: SessionAtWork, message: messages.AnswerQuestion) -> AnswerMessage:
    answer = commands.AnswerContent(message.request_id, message.option_id, message.answers, message.dismissed)
    await (await session.connected()).send(commands.Answer(answer))
    return Ack()


async def _history(session: SessionAtWork, message: messages.GetHistory) -> AnswerMessage:
    session.store.flush()
    found = session.store.history(message.before, message.limit + 1)
    page = fitting(found[-message.limit :])
    return History(session_id=session.session_id, messages=page, has_more=len(found) > len(page))


async def _events(session: SessionAtWork, message: messages.GetEvents) -> AnswerMessage:
    session.store.flush()
    page = session.store.events_after(message.after_seq, message.limit, PAGE_MAX_BYTES)
    last_seq = session.store.last_seq
    frames = [msgspec.Raw(event.frame) for event in page]
    more = bool(page) and page[-1].seq < last_seq
    return Events(session_id=session.session_id, events=frames, last_seq=last_seq, has_more=more)


async def _list_files(session: SessionAtWork, message: messages.ListFiles) -> AnswerMessage:
    try:
        found = await session.podium.agent_files.list(session.record.agent_id, message.path, message.depth)
    except PodiumConnectionError as error:
        if error.code is not ErrorCode.AGENT_NOT_FOUND or message.path is not None:
            raise
        found = []  # nobody has spoken yet
    return FileList(session_id=session.session_id, files=[msgspec.to_builtins(entry) for entry in found])


async def _read_file(session: SessionAtWork, message: messages.ReadFile) -> AnswerMessage:
    return _content(session, await session.podium.agent_files.read(session.record.agent_id, message.path))


async def _file_history(session: SessionAtWork, message: messages.FileHistory) -> AnswerMessage:
    found = await session.podium.agent_files.history(session.record.agent_id, message.path)
    versions = [msgspec.to_builtins(version) for version in found]
    return FileVersions(session_id=session.session_id, path=message.path, versions=versions)


async def _file_at_iteration(session: SessionAtWork, message: messages.FileAtIteration) -> AnswerMessage:
    found = await session.podium.agent_files.at(session.record.agent_id, message.path, message.iteration)
    return _content(session, found)


def _content(session: SessionAtWork, found: PodiumFile) -> FileContent:
    return FileContent(
        session_id=session.session_id,
        path=found.path,
        content=found.content,
        encoding=found.encoding,
        iteration=found.iteration,
    )


HANDLERS: Final[dict[type[ClientMessage], Callable[[SessionAtWork, Any], Awaitable[AnswerMessage]]]] = {
    messages.RunTurn: _run_turn,
    messages.StopTurn: _stop_turn,
    messages.Steer: _steer,
    messages.AnswerQuestion: _answer_question,
    messages.GetHistory: _history,
    messages.GetEvents: _events,
    messages.ListFiles: _list_files,
    messages.ReadFile: _read_file,
    messages.FileHistory: _file_history,
    messages.FileAtIteration: _file_at_iteration,
}
"""By the message's type. May raise `StorageError`, `PodiumConnectionError` and `ProtocolError`."""
