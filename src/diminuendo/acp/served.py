"""The sessions of Diminuendo, as one caller's editor sees them: the same that are there for the client protocol."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from msgspec import UNSET

from diminuendo.acp.keeper import SessionView, cwd_of, instance_of, newest_config, stop_agent
from diminuendo.acp.rpc.messages import INVALID_PARAMS, NOT_FOUND, RpcError
from diminuendo.acp.translation.prompts import Said
from diminuendo.domain.access import SessionFacts, refusal
from diminuendo.domain.members import Role, role_of
from diminuendo.domain.sessions import SessionState
from diminuendo.protocol import messages
from diminuendo.protocol.answers import Ack, Identity, MemberList, Session, SessionCreated, SessionList
from diminuendo.protocol.errors import Code, ProtocolError
from diminuendo.serving.port import Sessions
from diminuendo.serving.refusals import refused
from podium.client import PodiumClient, PodiumConnectionError
from podium.client.client import DEFAULT_VERSION


class ServedKeeper:
    """A `Keeper` for `caller`. `agent_type`: what new sessions get, and the only sessions there are; None: any, and none is made."""

    def __init__(self, sessions: Sessions, podium: PodiumClient, caller: Identity, agent_type: str | None) -> None:
        self.podium = podium
        self._sessions = sessions
        self._caller = caller
        self._agent_type = agent_type

    async def create(self, cwd: str) -> SessionView:
        """See `Keeper`."""
        if self._agent_type is None:
            raise RpcError(INVALID_PARAMS, "no agent type is named: connect to /acp?agent=TYPE")
        wanted = messages.CreateSession(agent_type=self._agent_type, metadata={"acp": {"cwd": cwd}})
        answer = await self._sessions.handle(self._caller, wanted)
        assert isinstance(answer, SessionCreated)
        return _view(answer.session)

    async def sessions(self) -> list[SessionView]:
        """See `Keeper`."""
        return [_view(session) for session in await self._all()]

    async def find(self, session_id: str) -> SessionView:
        """See `Keeper`. Refused to who may only watch: to open a session is to work with its agent."""
        session = next((session for session in await self._all() if session.session_id == session_id), None)
        if session is None:
            raise RpcError(NOT_FOUND, f"there is no session {session_id!r}", {"code": Code.SESSION_NOT_FOUND.value})
        members = await self._sessions.handle(self._caller, messages.ManageMembers(action="list"))
        assert isinstance(members, MemberList)
        roles = {member.user_id: Role(member.role) for member in members.members}
        role = role_of(roles, self._caller.user_id, Role(self._caller.role))
        tenant = self._caller.tenant_id
        facts = SessionFacts(tenant, session.created_by, SessionState(session.state), session.archived)
        if (no := refusal("run_turn", tenant, self._caller.user_id, role, facts)) is not None:
            raise refused(no)
        return _view(session)

    async def rename(self, session_id: str, title: str) -> None:
        """See `Keeper`. A name another one's session has not is not worth a failed prompt."""
        with suppress(ProtocolError):
            await self._sessions.handle(self._caller, messages.RenameSession(session_id=session_id, name=title))

    async def delete(self, session: SessionView) -> None:
        """See `Keeper`. An instance that was made for us, before there was a turn, the sessions know nothing of."""
        wanted = messages.DeleteSession(session_id=session.session_id)
        try:
            await self._sessions.handle(self._caller, wanted)
        except ProtocolError as error:
            if (
                error.code is not Code.INVALID_MESSAGE
            ):  # that one comes from Podium, when it is clear that the caller may
                raise
            await stop_agent(self.podium, session.agent_id)
            await self._sessions.handle(self._caller, wanted)

    async def discard(self, session: SessionView) -> None:
        """See `Keeper`."""
        with suppress(ProtocolError, PodiumConnectionError):
            await self.delete(session)

    async def instance(self, session: SessionView) -> str:
        """See `Keeper`. The sessions make the same one when they need it: an agent has one instance at most."""
        return await instance_of(self.podium, f"{session.agent_type}:{DEFAULT_VERSION}@local", session.agent_id)

    async def config(self) -> Mapping[str, Any]:
        """See `Keeper`."""
        return {} if self._agent_type is None else await newest_config(self.podium, self._agent_type)

    async def run_turn(self, session: SessionView, instance_id: str, said: Said) -> str:  # noqa: ARG002 - the sessions know it
        """See `Keeper`."""
        turn = messages.RunTurn(
            session_id=session.session_id,
            text=said.text or " ",
            client_turn_id=f"acp-{uuid4().hex}",
            metadata=said.metadata,
        )
        answer = await self._sessions.handle(self._caller, turn)
        assert isinstance(answer, Ack)
        if answer.turn_id is UNSET:
            raise ProtocolError(Code.PODIUM_UNAVAILABLE, "the message was not taken")
        return answer.turn_id

    async def _all(self) -> list[Session]:
        answer = await self._sessions.handle(self._caller, messages.ListSessions())
        assert isinstance(answer, SessionList)
        return [session for session in answer.sessions if self._agent_type in (None, session.agent_type)]


def _view(session: Session) -> SessionView:
    return SessionView(
        session.session_id,
        session.agent_type,
        session.agent_id,
        cwd_of(session.metadata),
        session.name,
        session.updated_at,
    )
