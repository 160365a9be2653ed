"""Hearing what is published: one connection that is always subscribed, made again whenever it is lost."""

import asyncio
import logging
import random
from typing import Any, Final

import msgspec
from valkey.asyncio.connection import AbstractConnection

from podium.base.discovery.port import CHANNELS, DiscoveryUnavailableError, Notice
from podium.base.discovery.subscription import NoticeQueue, Subscribers
from podium.base.discovery.valkey_link import AWAY, BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, ValkeyLink, hang_up

SILENCE_SECONDS: Final = 2.0
"""After this long without a notice the server is asked for a sign of life, so that a cut cable shows."""

_log = logging.getLogger(__name__)


class ValkeyListener:
    """Hands notices to subscribers. `times_up` counts how often the connection was made; `up` is set while it is there.

    Subscribers that were there before the connection was made may have missed something, and are told.
    """

    def __init__(self, link: ValkeyLink) -> None:
        self.times_up = 0
        self.up = asyncio.Event()
        self._link = link
        self._subscribers = Subscribers()
        self._ended = False

    def subscribe(self, channels: tuple[str, ...]) -> NoticeQueue:
        """A new subscription, at once: every channel is heard already.

        Raises:
            ValueError: there is no such channel.
            DiscoveryUnavailableError: discovery is closed.
        """
        if self._ended:
            raise DiscoveryUnavailableError("discovery is closed")
        if unknown := set(channels) - set(CHANNELS):
            raise ValueError(f"no channel {', '.join(sorted(unknown))}; there are {', '.join(CHANNELS)}")
        return self._subscribers.add(channels)

    def end(self) -> None:
        """Ends all subscriptions."""
        self._ended = True
        self._subscribers.end()

    async def listen(self) -> None:
        """Listens until cancelled, or `end`: the library may turn a cancellation into a timeout that comes with it."""
        pause = BACKOFF_FIRST_SECONDS
        while not self._ended:
            connection = self._link.new_connection()
            try:
                async with asyncio.timeout(self._link.call_seconds):
                    await self._connect(connection)
                pause = BACKOFF_FIRST_SECONDS
                await self._hear(connection)
            except AWAY as error:
                if self.up.is_set() or (self.times_up == 0 and pause == BACKOFF_FIRST_SECONDS):
                    _log.warning("valkey_away", extra={"reason": self._link.reason(error)})
            finally:
                self.up.clear()
                await hang_up(connection)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, BACKOFF_MAX_SECONDS)

    async def _connect(self, connection: AbstractConnection) -> None:
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_command("SUBSCRIBE", *CHANNELS)
        for _ in CHANNELS:
            await connection.read_response()
        self.times_up += 1
        self.up.set()
        self._link.reached()
        _log.info("valkey_heard", extra={"server": str(self._link.location)})
        self._subscribers.miss()

    async def _hear(self, connection: AbstractConnection) -> None:
        while not self._ended:
            answer = await connection.read_response(timeout=SILENCE_SECONDS)
            if answer is None:
                async with asyncio.timeout(self._link.call_seconds):
                    await connection.send_command("PING", check_health=False)
                    answer = await connection.read_response()
            if answer[0] == b"message":
                self._give(answer)

    def _give(self, answer: list[Any]) -> None:
        channel = answer[1].decode()
        try:
            payload = msgspec.json.decode(answer[2], type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            _log.warning("notice_unreadable", extra={"channel": channel})
            return
        self._subscribers.give(Notice(channel, payload))
