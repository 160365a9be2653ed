"""Temporary."""

import asyncio
from podium.base.http import Upgrade


class Door:
    def __init__(self, parts: object) -> None: ...
    def enter(self, upgrade: Upgrade) -> asyncio.Protocol:
        raise RuntimeError

    async def open(self) -> None: ...
    async def close(self) -> None: ...
