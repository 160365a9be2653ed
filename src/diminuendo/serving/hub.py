"""The sessions this process works on: all that `Sessions` offers, on files of its own and one Podium."""

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from msgspec import UNSET

from diminuendo.domain.access import NO_SESSION, refusal
from diminuendo.domain.ids import make_session_id
from diminuendo.domain.life import IDLE_MS
from diminuendo.domain.members import Role, role_of
from diminuendo.protocol import messages
from diminuendo.protocol.answers import (
    AnswerMessage,
    Identity,
    Member,
    MemberList,
    SessionCreated,
    SessionDeleted,
    SessionList,
    SessionUpdated,
)
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.protocol.limits import PAGE_MAX
from diminuendo.protocol.messages import ClientMessage, SessionMessage, type_of
from diminuendo.serving import talking
from diminuendo.serving.pages import first_fitting, session_of
from diminuendo.serving.port import Reader, Seat
from diminuendo.serving.refusals import answering, by_podium, refused, translated
from diminuendo.serving.working import Parts, SessionAtWork
from diminuendo.storage.errors import StorageError
from diminuendo.storage.places import Places
from diminuendo.storage.registry import Registry, SessionRecord
from podium.base.clock import Clock
from podium.base.tasks import TaskOwner
from podium.client import PodiumClient, PodiumConnectionError
from podium.wire.ids import ENTROPY_BYTES

PROBES_AT_ONCE: Final = 50
"""Instances that are asked after at the same time when Diminuendo starts: enough to be through thousands in seconds."""

TIDY_SECONDS: Final = 5.0
"""How long what is kept of a session stays open, about, when nobody uses it."""

_log = logging.getLogger(__name__)


class Hub:
    """The sessions below one data directory (a `Sessions`). `podium` belongs to the caller. Opened before it is used, closed after."""

    def __init__(self, places: Places, podium: PodiumClient, clock: Clock, idle_ms: int = IDLE_MS) -> None:
        self._owner = TaskOwner("sessions")
        self._parts = Parts(podium, places, clock, self._owner, idle_ms, asyncio.Semaphore(PROBES_AT_ONCE))
        self._registries: dict[str, Registry] = {}
        self._at_work: dict[str, SessionAtWork] = {}
        self._closing = False

    def __len__(self) -> int:
        """Sessions at work."""
        return len(self._at_work)

    async def open(self) -> None:
        """Begins to work."""
        self._owner.start(self._tidy(), "tidy")

    async def take_all(self) -> None:
        """Takes up what an earlier process left at work, of all tenants. What can't be read is logged, and refused to whoever asks
        for it."""
        for tenant_id in self._parts.places.tenants():
            try:
                self.take(tenant_id)
            except ProtocolError as error:
                _log.error("tenant_not_recovered", extra={"tenant_id": tenant_id}, exc_info=error)
            await asyncio.sleep(0)

    def take(self, tenant_id: str) -> None:
        """Takes up what an earlier process left at work of one tenant.

        Raises:
            ProtocolError: what is kept of the tenant can't be read.
        """
        with translated():
            registry = self._registry(tenant_id)
            unsettled = registry.unsettled()
        for record in unsettled:
            try:
                self._session(record, registry)
            except StorageError as error:  # of this session alone; whoever asks for it is told
                _log.error("session_not_recovered", extra={"session_id": record.session_id}, exc_info=error)

    async def drop(self, tenant_id: str) -> None:
        """Lets go of a tenant, whose sessions somebody else works on from now on."""
        registry = self._registries.pop(tenant_id, None)
        mine = [session for session in self._at_work.values() if session.tenant_id == tenant_id]
        for session in mine:
            del self._at_work[session.session_id]
        await asyncio.gather(*(session.close("the session is moving; join again") for session in mine))
        if registry is not None:
            registry.close()

    async def close(self) -> None:
        """Ends all readers and drops all connections; instances stay, and are found again by the next process."""
        self._closing = True
        sessions = list(self._at_work.values())
        self._at_work.clear()
        await asyncio.gather(*(session.close("Diminuendo stops; join again") for session in sessions))
        await self._owner.close()
        for registry in self._registries.values():
            registry.close()
        self._registries.clear()

    # ── what clients ask ─────────────────────────────────────────────────────────────────────────────────────

    async def handle(self, caller: Identity, message: ClientMessage) -> AnswerMessage:
        """See `Sessions`."""
        with answering(message), translated():
            registry = self._registry(caller.tenant_id)
            if isinstance(message, SessionMessage):
                answer = await self._about_session(caller, message, registry)
            else:
                answer = await self._about_tenant(caller, message, registry)
        return msgspec.structs.replace(answer, request_id=message.request_id)

    async def join(self, caller: Identity, message: messages.JoinSession, reader: Reader) -> Seat:
        """See `Sessions`."""
        with answering(message), translated():
            registry = self._registry(caller.tenant_id)
            record = self._allowed(caller, message, registry)
            return self._session(record, registry).join(reader, message.after_seq)

    async def _about_tenant(self, caller: Identity, message: ClientMessage, registry: Registry) -> AnswerMessage:
        role = self._checked(caller, message, registry, None)
        match message:
            case messages.ListSessions():
                found = registry.sessions(
                    include_archived=message.include_archived, offset=message.offset, limit=PAGE_MAX + 1
                )
                page = first_fitting([session_of(record) for record in found[:PAGE_MAX]])
                return SessionList(sessions=page, has_more=True if len(found) > len(page) else UNSET)
            case messages.CreateSession():
                made = registry.create(
                    make_session_id(os.urandom(ENTROPY_BYTES)),
                    message.agent_type,
                    caller.user_id,
                    message.name or "",
                    message.metadata,
                )
                return SessionCreated(session=session_of(made))
            case messages.ManageMembers():
                return _members(registry, role, message)
        raise _not_for_here(message)

    async def _about_session(self, caller: Identity, message: SessionMessage, registry: Registry) -> AnswerMessage:
        record = self._found(message, registry)
        if isinstance(message, talking.IN_A_TURN):
            # Right after a restart the turn may still be looked for; whether it is there can be told after that.
            with self._in_use(record, registry) as session:
                await session.resumed()
        record = self._allowed(caller, message, registry)
        with self._in_use(record, registry) as session:
            if (handler := talking.HANDLERS.get(type(message))) is not None:
                return await handler(session, message)
            match message:
                case messages.RenameSession():
                    return self._updated(session, registry.rename(session.session_id, message.name))
                case messages.ArchiveSession():
                    # From here on nobody begins a turn any more.
                    session.record = registry.archive(session.session_id, archived=True)
                    await session.let_go("the session was archived")
                    return self._updated(session, session.record)
                case messages.UnarchiveSession():
                    return self._updated(session, registry.archive(session.session_id, archived=False))
                case messages.DeleteSession():
                    return await self._delete(session, registry)
        raise _not_for_here(message)

    # ── sessions of a tenant ─────────────────────────────────────────────────────────────────────────────────

    def _updated(self, session: SessionAtWork, record: SessionRecord) -> AnswerMessage:
        session.record = record
        updated = SessionUpdated(session=session_of(record))
        session.audience.inform(updated)
        return updated

    async def _delete(self, session: SessionAtWork, registry: Registry) -> AnswerMessage:
        """Instance, agent, record, files, in this order: what fails can be tried again."""
        try:
            await session.let_go("the session is being deleted", for_good=True)
            await self._erase(session.record)
        except ProtocolError:
            session.remain()
            raise
        registry.delete(session.session_id)
        deleted = SessionDeleted(session_id=session.session_id)
        session.audience.inform(deleted)
        self._at_work.pop(session.session_id, None)
        await session.close("the session was deleted")
        self._parts.places.remove_session(session.session_id)
        return deleted

    async def _erase(self, record: SessionRecord) -> None:
        """Erases the session's agent, which may never have been made.

        Raises:
            ProtocolError: Podium can't do it now.
        """
        try:
            await self._parts.podium.agents.remove(record.agent_id)
        except PodiumConnectionError as error:
            if error.status != 404:
                raise by_podium(error) from error

    # ── what is there, and who may ───────────────────────────────────────────────────────────────────────────

    def _registry(self, tenant_id: str) -> Registry:
        if self._closing:
            raise ProtocolError(Code.PODIUM_UNAVAILABLE, "Diminuendo stops; connect again")
        found = self._registries.get(tenant_id)
        if found is None:
            path = self._parts.places.registry(tenant_id)
            found = self._registries[tenant_id] = Registry.open(path, tenant_id, self._parts.clock)
        return found

    def _found(self, message: SessionMessage, registry: Registry) -> SessionRecord:
        record = registry.find(message.session_id)
        if record is None:
            raise refused(NO_SESSION)
        return record

    def _allowed(self, caller: Identity, message: SessionMessage, registry: Registry) -> SessionRecord:
        record = self._found(message, registry)
        self._checked(caller, message, registry, record)
        return record

    def _checked(
        self, caller: Identity, message: ClientMessage, registry: Registry, record: SessionRecord | None
    ) -> Role:
        """The caller's role, once it is clear that it is enough. Raises `ProtocolError`."""
        role = role_of(registry.members(), caller.user_id, Role(caller.role))
        facts = None if record is None else record.facts(registry.tenant_id)
        no = refusal(type_of(message), caller.tenant_id, caller.user_id, role, facts)
        if no is not None:
            raise refused(no)
        return role

    def _session(self, record: SessionRecord, registry: Registry) -> SessionAtWork:
        """The session at work; taken up now if it is not."""
        found = self._at_work.get(record.session_id)
        if found is None:
            found = SessionAtWork(record, registry, self._parts, self._drop)
            self._at_work[record.session_id] = found
            found.begin()
            if record.session_id not in self._at_work:
                raise ProtocolError(Code.PODIUM_UNAVAILABLE, "what is kept of this can't be written now")
        return found

    @contextmanager
    def _in_use(self, record: SessionRecord, registry: Registry) -> Iterator[SessionAtWork]:
        session = self._session(record, registry)
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1

    async def _tidy(self) -> None:
        """Closes, time and again, what nobody uses."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            for session in list(self._at_work.values()):
                if session.is_free:
                    del self._at_work[session.session_id]
                    await session.close("nobody was there")

    def _drop(self, session: SessionAtWork) -> None:
        """What is kept of the session can't be written: whoever needs it next opens it anew."""
        if self._at_work.get(session.session_id) is session:
            del self._at_work[session.session_id]
            self._owner.start(session.close("what is kept of the session can't be written"), "drop")


def _members(registry: Registry, role: Role, message: messages.ManageMembers) -> AnswerMessage:
    if message.action == "list" or message.user_id is None:
        members = registry.members()
    else:
        members = registry.change_member(role, message.user_id, None if message.role is None else Role(message.role))
    return MemberList(members=[Member(user_id, held.value) for user_id, held in members.items()])


def _not_for_here(message: ClientMessage) -> ProtocolError:
    """Messages of the connection itself, which whoever holds it answers."""
    return ProtocolError(Code.INVALID_MESSAGE, f"{type_of(message)} is not for here")
