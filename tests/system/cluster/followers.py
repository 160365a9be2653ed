"""Clients that follow an agent over everything that happens to its host, and what must be true of what they got."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.system.api import Caller
from tests.waiting import wait_until

_COMES_BACK = frozenset({1006, 1011, 1012, 1013, 4408})
"""Close codes after which a client connects again with `after`."""


class Follower:
    """One client: everything it was ever sent, and how often it had to connect."""

    def __init__(self, calls: Caller, instance_id: str, after: int = 0) -> None:
        self._calls = calls
        self._url = f"{calls.daemons.url}/api/v1/instances/{instance_id}/connect"
        self.first = after + 1
        self.events: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.acks: list[dict[str, Any]] = []
        self.connections = 0
        self.refused: int | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    @property
    def seq(self) -> int:
        """The newest event it has."""
        return int(self.events[-1]["seq"]) if self.events else self.first - 1

    async def run(self) -> None:
        """Follows until it is cancelled, or sent away for good."""
        while self.refused is None:
            try:
                await self._once()
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)

    async def say(self, text: str, command_id: str) -> None:
        """Sends a message over the connection there is."""
        assert self._socket is not None
        command = {"type": "process_message", "id": command_id, "content": {"text": text}}
        await self._socket.send_str(json.dumps(command))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Its events of one type."""
        return [event for event in self.events if event["messageType"] == kind]

    async def _once(self) -> None:
        async with self._calls.session.ws_connect(
            f"{self._url}?after={self.seq}", headers=self._calls.headers, protocols=["podium.v1"], max_msg_size=0
        ) as socket:
            self.connections += 1
            self._socket = socket
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(json.loads(message.data))
            if (socket.close_code or 1006) not in _COMES_BACK:
                self.refused = socket.close_code

    def _take(self, frame: dict[str, Any]) -> None:
        if "seq" in frame:
            self.events.append(frame)
            self.times.append(time.monotonic())
        elif frame["messageType"] == "ack":
            self.acks.append(frame["content"])


@asynccontextmanager
async def following(calls: Caller, instance_id: str, count: int, after: int = 0) -> AsyncIterator[list[Follower]]:
    """So many clients, connected."""
    followers = [Follower(calls, instance_id, after) for _ in range(count)]
    tasks = [asyncio.ensure_future(follower.run()) for follower in followers]
    try:
        await wait_until(lambda: all(follower.connections for follower in followers), 20, "the clients to connect")
        yield followers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def check(followers: Sequence[Follower]) -> None:
    """What every client must have got, whatever happened: every number once and in order, and the same as the others."""
    for follower in followers:
        assert follower.refused is None, follower.refused
        seqs = [event["seq"] for event in follower.events]
        assert seqs == list(range(follower.first, follower.first + len(seqs))), _gaps(seqs)


def _gaps(seqs: list[int]) -> list[tuple[int, int]]:
    return [(before, after) for before, after in itertools.pairwise(seqs) if after != before + 1][:5]
