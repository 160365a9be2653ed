"""The other coordinators, asked whether they reach discovery when this one does not."""

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp
import msgspec

from podium.base.discovery import CoordinatorRecord
from podium.base.http import Identity, cluster_headers
from podium.coordinator.domain.fencing import Verdict, judge
from podium.wire.rest import Ready

ANSWER_SECONDS: Final = 2.4
"""How long the others may take: they try discovery for two seconds themselves before they say that it is away."""

ASKED: Final = 5
"""So many others are asked, however many there are: if none of five reaches discovery, it is away."""


async def ask(others: Sequence[CoordinatorRecord], cluster_key: str) -> Verdict:
    """What the others say about discovery. Never raises, and takes at most `ANSWER_SECONDS`."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        headers = cluster_headers(Identity(), cluster_key, "")
        answers = await asyncio.gather(*(_reaches(session, other.url, headers) for other in others[:ASKED]))
    return judge(answers)


async def _reaches(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bool | None:
    """Whether a coordinator reaches discovery; None: it does not say."""
    try:
        async with session.get(f"{url}/ready", headers=headers) as response:
            said = msgspec.json.decode(await response.read(), type=Ready)
    except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError):
        return None
    return "discovery" not in said.failing
