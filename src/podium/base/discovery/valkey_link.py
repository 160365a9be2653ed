"""Talking to one Valkey server: every call ends within its limit, no call waits for a server that is known to be away, and
what went wrong is told without credentials.

The library's connections and pool are used, not its client: the client's pipelines repeat whole commands in their errors,
and its retries would send twice what may have happened.
"""

import asyncio
import contextlib
import functools
import hashlib
import logging
import random
import socket
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import Any, Final, NamedTuple

from valkey.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from valkey.exceptions import NoPermissionError, NoScriptError, ReadOnlyError, ResponseError, ValkeyError

from podium.base.discovery.port import DiscoveryUnavailableError
from podium.base.discovery.valkey_location import ValkeyLocation

CALL_SECONDS: Final = 2.0
"""Default limit of one call, connecting included: leases (10 s, renewed every 3 s) survive two that fail."""

CONNECTIONS: Final = 16
"""Connections a daemon opens at most; a call takes one for some tenths of a millisecond."""

BACKOFF_FIRST_SECONDS: Final = 0.05
BACKOFF_MAX_SECONDS: Final = 1.0
"""Pause between attempts to reach a server that is away, doubled from the first to the longest. Meanwhile calls fail at once."""

VERSION_MIN: Final = (7, 0)
"""The first with the rules for scripts that ours rely on (effects are replicated, not scripts)."""

KEEPALIVE: Final = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}
"""Seconds and tries of the kernel's signs of life, so that routers between us don't forget a connection that is idle."""

_log = logging.getLogger(__name__)

Argument = str | bytes | int | float
Command = tuple[Argument, ...]

AWAY: Final = (ValkeyError, OSError, TimeoutError, EOFError)
"""What the library raises when a server can't be talked to (a `ResponseError` is an answer, and handled before)."""


class Script(NamedTuple):
    """A script and the name the server knows it by."""

    text: str
    digest: str


@functools.cache
def script(name: str) -> Script:
    """The script `valkey_scripts/{name}.lua`, with what all of them share before it."""
    directory = files("podium.base.discovery.valkey_scripts")
    text = directory.joinpath("prelude.lua").read_text() + directory.joinpath(f"{name}.lua").read_text()
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class ValkeyLink:
    """Connections to one server. Belongs to one event loop."""

    def __init__(self, location: ValkeyLocation, call_seconds: float = CALL_SECONDS) -> None:
        self.location = location
        self.call_seconds = call_seconds
        kind, arguments = _connection(location, call_seconds)
        self._maker = ConnectionPool(kind, **arguments)
        self._idle: list[AbstractConnection] = []
        self._busy: set[AbstractConnection] = set()
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._examined = False
        self._closed = False
        self._away: str | None = None
        self._failed_at = 0.0
        self._pause = BACKOFF_FIRST_SECONDS
        self._next_try = 0.0

    def new_connection(self) -> AbstractConnection:
        """A connection, not yet connected; its owner closes it."""
        made: AbstractConnection = self._maker.make_connection()  # type: ignore[no-untyped-call]
        return made

    async def ask(self, *commands: Command) -> list[Any]:
        """Sends the commands in one round trip and returns an answer for each.

        Raises:
            DiscoveryUnavailableError: the server is away (at once when that is known, else after `call_seconds` at most)
                or refused a command. Commands may have happened all the same.
        """
        answers = await self._ask(commands)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise self._refused(answer) from None
        return answers

    async def run(self, name: str, *arguments: Argument) -> Any:
        """The answer of a script; see `ask`."""
        return (await self.run_each(name, [arguments]))[0]

    async def run_each(self, name: str, calls: Sequence[Command]) -> list[Any]:
        """The answers of a script to several calls, in one round trip (two when the server has not seen it yet)."""
        wanted = script(name)
        answers = await self._ask([("EVALSHA", wanted.digest, 0, *arguments) for arguments in calls])
        # What the server did not know has not happened and may be sent again, with its text.
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = await self._ask([("EVAL", wanted.text, 0, *calls[number]) for number in unknown])
            for number, answer in zip(unknown, again, strict=True):
                answers[number] = answer
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise self._refused(answer) from None
        return answers

    async def close(self) -> None:
        """Ends all connections, those of calls under way, too; calls are refused from now on."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(hang_up, (*idle, *self._busy)))

    # ── one exchange ─────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        self._pass_gate()
        started = asyncio.get_running_loop().time()
        talking = False
        try:
            async with asyncio.timeout(self.call_seconds), self._slots:
                talking = True
                async with self._connected() as connection:
                    if not self._examined:
                        await self._examine(connection)
                    answers = await _exchange(connection, commands)
        except AWAY as error:
            if not talking:
                raise DiscoveryUnavailableError(f"{self.location}: too many calls at once") from None
            # The way to the server may be cut for all of them, without a word; then each would cost a call its limit.
            await self._drop_idle()
            raise self._lost(error, started) from None
        self._away = None
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            # The server became a replica: its name may lead to the new primary already, the connections do not.
            self._examined = False
            await self._drop_idle()
        return answers

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AbstractConnection]:
        """A connection for one exchange. The one used last comes first, so that few are enough for a quiet daemon."""
        connection = self._idle.pop() if self._idle else self.new_connection()
        self._busy.add(connection)
        try:
            # Connects; and again, when the server closed it while it was idle.
            await self._maker.ensure_connection(connection)
            yield connection
        finally:
            self._busy.discard(connection)
            if self._closed:
                await hang_up(connection)
            else:
                self._idle.append(connection)

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)

    async def _examine(self, connection: AbstractConnection) -> None:
        """Refuses a server that could not keep what we promise. One whose rules hide INFO from us is taken as it is."""
        (answer,) = await _exchange(connection, [("INFO",)])
        if isinstance(answer, NoPermissionError):
            self._examined = True
            return
        if isinstance(answer, ResponseError):
            raise answer
        said = dict(line.split(":", 1) for line in answer.decode().splitlines() if ":" in line)
        if problem := unsuitable(said):
            raise _UnsuitableError(problem)
        if said.get("maxmemory_policy", "noeviction").startswith("allkeys"):
            _log.warning("valkey_may_evict", extra={"policy": said["maxmemory_policy"], "wanted": "noeviction"})
        self._examined = True

    # ── a server that is away ────────────────────────────────────────────────────────────────────────────────

    def _pass_gate(self) -> None:
        """Lets one call at a time try a server that is away, after the pause; the others are refused at once."""
        if self._closed:
            raise DiscoveryUnavailableError("discovery is closed")
        if self._away is None:
            return
        now = asyncio.get_running_loop().time()
        if now < self._next_try:
            raise DiscoveryUnavailableError(self._away)
        self._next_try = now + self.call_seconds

    def _lost(self, error: Exception, started: float) -> DiscoveryUnavailableError:
        """Notes that the server is away; of many calls that fail together only one lengthens the pause."""
        now = asyncio.get_running_loop().time()
        if self._away is None:
            self._pause = BACKOFF_FIRST_SECONDS
        elif started >= self._failed_at:
            self._pause = min(self._pause * 2, BACKOFF_MAX_SECONDS)
        self._failed_at = now
        self._next_try = now + self._pause * random.uniform(0.5, 1.0)
        self._examined = False
        self._away = self.reason(error)
        return DiscoveryUnavailableError(self._away)

    def reached(self) -> None:
        """Somebody else found that the server is there: the next call need not wait."""
        self._next_try = 0.0

    def reason(self, error: Exception) -> str:
        """What went wrong and where, without credentials."""
        said = str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
        return f"{self.location}: {self.location.without_credentials(said)}"

    def _refused(self, answer: ResponseError) -> DiscoveryUnavailableError:
        return DiscoveryUnavailableError(self.reason(answer))


async def hang_up(connection: AbstractConnection) -> None:
    """Closes a connection and waits until it is, at most as long as it may take to connect."""
    with contextlib.suppress(*AWAY):
        await connection.disconnect()


class _UnsuitableError(ValkeyError):
    """A server we can't work with."""


def unsuitable(said: dict[str, str]) -> str | None:
    """What is wrong with a server, from its INFO; None when nothing is."""
    version = said.get("valkey_version") or said.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < VERSION_MIN:
        return f"version {version} is too old; {'.'.join(map(str, VERSION_MIN))} or newer is needed"
    if said.get("cluster_enabled") == "1":
        return "this is a Valkey Cluster; use a server with cluster mode disabled (replicas are fine)"
    if said.get("role") == "slave":
        return "this is a replica; VALKEY_URL must lead to the primary"
    return None


async def _exchange(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    """Sends all, then reads all. A connection whose exchange is cut off is closed by the library, never used again."""
    await connection.send_packed_command(connection.pack_commands(commands))
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as refusal:
            answers.append(refusal)
    return answers


def _connection(location: ValkeyLocation, call_seconds: float) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """The library's kind of connection and its arguments."""
    arguments: dict[str, Any] = {
        "db": location.database,
        "username": location.username,
        "password": location.password,
        # Whoever calls sets the limit. The library's own would wrap each write into a task, and on Python 3.11 its `wait_for`
        # loses a cancellation that comes when the write ends.
        "socket_timeout": None,
        "socket_connect_timeout": call_seconds,
    }
    if location.socket is not None:
        return UnixDomainSocketConnection, arguments | {"path": str(location.socket)}
    arguments |= {
        "host": location.host,
        "port": location.port,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    }
    if not location.tls:
        return Connection, arguments
    named = {
        "ssl_ca_certs": location.ca_file,
        "ssl_certfile": location.certificate_file,
        "ssl_keyfile": location.key_file,
    }
    return SSLConnection, arguments | {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        **{option: str(path) if path else None for option, path in named.items()},
    }
