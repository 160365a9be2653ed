"""Agents that come and go while the cluster fails: what was answered about each is true afterwards."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import aiohttp

CALL_SECONDS: Final = 120.0
"""How long a call is repeated that is safe to repeat."""

TRY_SECONDS: Final = 15.0
"""How long one try may take: a gateway may be stopped."""

AGAIN: Final = frozenset({401, 429, 502, 503, 504})
"""Statuses after which a call is made again; 401: of Valkey that was emptied, before the keys are back."""

LIVES_MAX: Final = 60
"""Bounds the number of agents of a long run."""


class Life(NamedTuple):
    """An agent that was made. `stopped`: whether it was ended."""

    instance_id: str
    agent_id: str
    text: str
    stopped: bool


class Churn:
    """Makes agents, says one thing to each, and stops every other one."""

    def __init__(self, name: str, gateways: Sequence[str], key: str, deployment: str, lots: random.Random) -> None:
        self.lives: list[Life] = []
        self.findings: list[str] = []
        self._number = 0
        self._name = name
        self._gateways = gateways
        self._headers = {"Authorization": f"Bearer {key}"}
        self._deployment = deployment
        self._lots = lots

    async def live(self, over: asyncio.Event) -> None:
        """One agent after another until it is `over`."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            while not over.is_set() and self._number < LIVES_MAX:
                self._number += 1
                try:
                    await self._one(session, self._number)
                except AssertionError as error:
                    self.findings.append(f"{self._name}-{self._number}: {error}")
                await asyncio.sleep(self._lots.uniform(0.5, 2.0))  # the load is irregular on purpose

    async def _one(self, session: aiohttp.ClientSession, number: int) -> None:
        agent_id, text = f"{self._name}-{number}", f"count {self._name} {number}"
        body = {
            "deployment_id": self._deployment,
            "agent_id": agent_id,
            "idle_timeout": "2s",
            "limits": {"durability": "sync"},
        }
        key = {"Idempotency-Key": f"{agent_id}-create"}
        status, made = await self._insist(session, "POST", "/api/v1/instances", json=body, headers=key)
        assert status in (200, 201), (status, made)
        path = f"/api/v1/instances/{made['instance_id']}"
        key = {"Idempotency-Key": f"{agent_id}-say"}
        status, said = await self._insist(session, "POST", f"{path}/messages", json={"text": text}, headers=key)
        assert status == 202, (status, said)
        if number % 2:
            status, answer = await self._insist(session, "DELETE", path)
            assert status in (204, 404), (status, answer)
        self.lives.append(Life(made["instance_id"], agent_id, text, bool(number % 2)))

    async def check(self, session: aiohttp.ClientSession) -> list[str]:
        """What is not as it was answered."""
        findings = list(self.findings)
        for life in self.lives:
            path = f"/api/v1/instances/{life.instance_id}"
            status, info = await self._insist(session, "GET", path)
            if status != (404 if life.stopped else 200):
                findings.append(f"{life}: now {status} {info}")
            if life.stopped or status != 200:
                continue
            said = (await self._insist(session, "GET", f"{path}/messages?limit=100"))[1]["items"]
            if [each["text"] for each in said if each["role"] == "user"] != [life.text]:
                findings.append(f"{life}: the conversation is {said}")
        return findings

    async def _insist(self, session: aiohttp.ClientSession, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Repeats a call, over one gateway after another, until it is answered by something other than a loss or a refusal that
        says that it may be repeated."""
        headers = {**self._headers, **more.pop("headers", {})}
        at = self._lots.randrange(len(self._gateways))
        last: Any = None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                while True:
                    at += 1
                    url = self._gateways[at % len(self._gateways)] + path
                    with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                        async with (
                            asyncio.timeout(TRY_SECONDS),
                            session.request(method, url, headers=headers, **more) as answer,
                        ):
                            last = await answer.json() if answer.content_type.endswith("json") else None
                            if answer.status not in AGAIN:
                                return answer.status, last
                    await asyncio.sleep(self._lots.uniform(0.05, 0.5))
        except TimeoutError:
            raise AssertionError(
                f"{method} {path} was not answered within {CALL_SECONDS:.0f} s; last: {last}"
            ) from None
