"""The agent's side of ACP on one connection: its methods."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

from diminuendo.acp.failures import by_podium, by_protocol
from diminuendo.acp.keeper import Keeper, SessionView
from diminuendo.acp.rpc.messages import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, RpcError
from diminuendo.acp.rpc.peer import Answered, Peer, read_params
from diminuendo.acp.session import OpenSession
from diminuendo.acp.shelf import ShelfError
from diminuendo.acp.translation import params as p
from diminuendo.acp.translation.offers import read_offers
from diminuendo.protocol.errors import ProtocolError
from podium import __version__
from podium.client import PodiumConnectionError

PROTOCOL_VERSION: Final = 1
"""The one that is spoken."""

LOOK_SECONDS: Final = 1.0
"""How long `initialize` waits for Podium to say what the newest agent of a type is like: an editor shows nothing meanwhile."""

PAGE: Final = 100
"""Sessions of one answer to `session/list`."""

SESSIONS_MAX: Final = 100
"""Sessions a connection has open at once; an editor has one for each conversation it shows."""


class Door(Protocol):
    """Whom the client is let in as."""

    @property
    def methods(self) -> list[dict[str, Any]]:
        """Ways to authenticate (`authMethods`)."""
        ...

    async def authenticate(self, wanted: p.Authenticate) -> None:
        """Lets the client in.

        Raises:
            RpcError: it is not let in.
        """
        ...

    async def keeper(self) -> Keeper:
        """Who keeps the client's sessions.

        Raises:
            RpcError: the client is not let in.
        """
        ...


class AcpAgent:
    """A `Handler`: what a client of ACP may ask for."""

    def __init__(self, peer: Peer, door: Door) -> None:
        self._peer = peer
        self._door = door
        self._client: p.ClientCapabilities | None = None
        self._open: dict[str, OpenSession] = {}

    async def request(self, method: str, params: Any) -> Any:
        """See `Handler`."""
        found = _METHODS.get(method)
        if found is None:
            raise RpcError(METHOD_NOT_FOUND, f"there is no method {method!r}", {"method": method})
        wanted, work = found
        if self._client is None and method != "initialize":
            raise RpcError(INVALID_REQUEST, "initialize comes first")
        try:
            return await work(self, read_params(params, wanted))
        except PodiumConnectionError as error:
            raise by_podium(error) from error
        except ProtocolError as error:
            raise by_protocol(error) from error
        except ShelfError as error:
            raise RpcError(INTERNAL_ERROR, f"the list of sessions can't be used: {error}") from error

    async def notification(self, method: str, params: Any) -> None:
        """See `Handler`."""
        if method == "session/cancel":
            wanted: p.OneSession = read_params(params, p.OneSession)
            if (session := self._open.get(wanted.session_id)) is not None:
                try:
                    await session.cancel()
                except PodiumConnectionError as error:
                    raise by_podium(error) from error

    def hang_up(self) -> None:
        """The client sends nothing any more: prompts are not waited for. Their turns go on."""
        for session in self._open.values():
            session.hang_up()

    async def close(self) -> None:
        """Lets go of all sessions."""
        for session in list(self._open.values()):
            await session.close()
        self._open.clear()

    # ── methods ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _initialize(self, wanted: p.Initialize) -> dict[str, Any]:
        self._client = wanted.client_capabilities or p.ClientCapabilities()
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "agentCapabilities": {
                "loadSession": True,
                "promptCapabilities": {"image": await self._takes_images(), "audio": False, "embeddedContext": True},
                "mcpCapabilities": {"http": False, "sse": False},
                "sessionCapabilities": {"list": {}, "resume": {}, "close": {}, "delete": {}},
            },
            "agentInfo": {"name": "podium", "title": "Podium", "version": __version__},
            "authMethods": self._door.methods,
        }

    async def _takes_images(self) -> bool:
        """Whether the newest agent of the client's type takes images. Unknown is no: a client sends none then."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return read_offers(await (await self._door.keeper()).config()).images
        except (RpcError, ProtocolError, PodiumConnectionError, ShelfError, TimeoutError):
            return False

    async def _authenticate(self, wanted: p.Authenticate) -> dict[str, Any]:
        await self._door.authenticate(wanted)
        return {}

    async def _new(self, wanted: p.NewSession) -> Answered:
        keeper = await self._door.keeper()
        self._check_room()
        view = await keeper.create(_absolute(wanted.cwd))
        session = OpenSession(view, keeper, self._peer, self._capabilities)
        try:
            then = await self._opened(session, replay=False)
        except (PodiumConnectionError, ProtocolError, RpcError):
            await keeper.discard(view)
            raise
        return Answered({"sessionId": view.session_id, **session.setup}, then)

    async def _load(self, wanted: p.OldSession) -> Answered:
        return await self._old(wanted, replay=True)

    async def _resume(self, wanted: p.OldSession) -> Answered:
        return await self._old(wanted, replay=False)

    async def _old(self, wanted: p.OldSession, *, replay: bool) -> Answered:
        keeper = await self._door.keeper()
        view = await keeper.find(wanted.session_id)
        if (before := self._open.pop(view.session_id, None)) is not None:
            await before.close()
        self._check_room()
        view = view._replace(cwd=_absolute(wanted.cwd))
        session = OpenSession(view, keeper, self._peer, self._capabilities)
        then = await self._opened(session, replay=replay)
        return Answered(session.setup, then)

    async def _list(self, wanted: p.ListSessions) -> dict[str, Any]:
        found = await (await self._door.keeper()).sessions()
        if wanted.cwd is not None:
            found = [view for view in found if view.cwd == wanted.cwd]
        if wanted.cursor is not None:
            places = [place for place, view in enumerate(found) if _cursor(view) == wanted.cursor]
            if not places:
                raise RpcError(INVALID_PARAMS, "the cursor is not one of ours, or its session is gone: begin anew")
            found = found[places[0] + 1 :]
        told: dict[str, Any] = {"sessions": [_info(view) for view in found[:PAGE]]}
        return {**told, "nextCursor": _cursor(found[PAGE - 1])} if len(found) > PAGE else told

    async def _prompt(self, wanted: p.PromptParams) -> dict[str, Any]:
        return await self._session(wanted.session_id).prompt(wanted.prompt)

    async def _set_mode(self, wanted: p.SetMode) -> dict[str, Any]:
        session = self._session(wanted.session_id)
        mode = session.offers.mode
        if mode is None:
            raise RpcError(INVALID_PARAMS, "this agent has no modes")
        session.choose(mode.id, wanted.mode_id)
        return {}

    async def _set_option(self, wanted: p.SetOption) -> dict[str, Any]:
        session = self._session(wanted.session_id)
        session.choose(wanted.config_id, wanted.value)
        return {"configOptions": session.as_options}

    async def _close(self, wanted: p.OneSession) -> dict[str, Any]:
        session = self._session(wanted.session_id)
        await session.cancel()
        del self._open[wanted.session_id]
        await session.close()
        return {}

    async def _delete(self, wanted: p.OneSession) -> dict[str, Any]:
        keeper = await self._door.keeper()
        view = await keeper.find(wanted.session_id)
        if (session := self._open.pop(view.session_id, None)) is not None:
            await session.close()
        await keeper.delete(view)
        return {}

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _capabilities(self) -> p.ClientCapabilities:
        assert self._client is not None
        return self._client

    def _session(self, session_id: str) -> OpenSession:
        session = self._open.get(session_id)
        if session is None:
            text = f"the session {session_id!r} is not open: session/load or session/resume opens it"
            raise RpcError(INVALID_PARAMS, text)
        return session

    async def _opened(self, session: OpenSession, *, replay: bool) -> Callable[[], None]:
        try:
            then = await session.open(replay=replay)
        except BaseException:
            await session.close()  # whatever it was, also a cancellation: its stream must not be left open
            raise
        self._open[session.view.session_id] = session
        return then

    def _check_room(self) -> None:
        if len(self._open) >= SESSIONS_MAX:
            raise RpcError(INVALID_REQUEST, f"at most {SESSIONS_MAX} sessions are open at once: close one")


def _absolute(cwd: str) -> str:
    if not PurePosixPath(cwd).is_absolute():
        raise RpcError(INVALID_PARAMS, "cwd must be an absolute path")
    return cwd


def _cursor(view: SessionView) -> str:
    return urlsafe_b64encode(view.session_id.encode()).decode()


def _info(view: SessionView) -> dict[str, Any]:
    updated = datetime.fromtimestamp(view.updated_at / 1000, UTC).isoformat(timespec="milliseconds")
    told: dict[str, Any] = {"sessionId": view.session_id, "cwd": view.cwd, "updatedAt": updated.replace("+00:00", "Z")}
    return {**told, "title": view.title} if view.title else told


_METHODS: Final[dict[str, tuple[type[p.Params], Callable[[AcpAgent, Any], Awaitable[Any]]]]] = {
    "initialize": (p.Initialize, AcpAgent._initialize),
    "authenticate": (p.Authenticate, AcpAgent._authenticate),
    "session/new": (p.NewSession, AcpAgent._new),
    "session/load": (p.OldSession, AcpAgent._load),
    "session/resume": (p.OldSession, AcpAgent._resume),
    "session/list": (p.ListSessions, AcpAgent._list),
    "session/prompt": (p.PromptParams, AcpAgent._prompt),
    "session/set_mode": (p.SetMode, AcpAgent._set_mode),
    "session/set_config_option": (p.SetOption, AcpAgent._set_option),
    "session/close": (p.OneSession, AcpAgent._close),
    "session/delete": (p.OneSession, AcpAgent._delete),
}
"""What a client may ask for, with the type of the parameters. `session/cancel` and `$/cancel_request` are notifications."""
