"""Plays a golden conversation against whatever has the other end of a socket. Format: spec/conversations/README.md."""

import asyncio
import json
import re
import struct
from pathlib import Path
from typing import Any

from podium.wire.link import FrameBuffer

DIRECTORY = Path(__file__).parent.parent.parent / "spec" / "conversations"
TIMEOUT_SECONDS = 10.0

_PLACEHOLDER = re.compile(r"<(any|text|int|call|term|req)(?::(\w+))?>")
_LENGTH = struct.Struct("<I")


class Conversation:
    """One file: which agent it is about, and its lines."""

    def __init__(self, path: Path) -> None:
        first, *self.lines = [json.loads(line) for line in path.read_text().splitlines()]
        self.agent: str = first["agent"]
        self.about: str = first["about"]

    @property
    def exit_code(self) -> int:
        """What the agent's process must end with."""
        return int(self.lines[-1]["exit"])


class Player:
    """Sends and compares, line by line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = FrameBuffer()
        self._frames: list[Any] = []
        self._bound: dict[str, Any] = {}

    async def play(self, conversation: Conversation) -> None:
        """Plays all lines; the link must be closed by the agent at the end."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for number, line in enumerate(conversation.lines, 2):
                if "to_agent" in line:
                    body = json.dumps(self._filled(line["to_agent"])).encode()
                    self._writer.write(_LENGTH.pack(len(body)) + body)
                    await self._writer.drain()
                elif "from_agent" in line:
                    await self._expect(number, line["from_agent"])
                else:
                    frame = await self._next(logs=False)
                    assert frame is None, f"line {number}: the agent should end, it said {frame}"

    async def _expect(self, number: int, wanted: Any) -> None:
        frame = await self._next(logs=wanted["type"] == "log")
        assert frame is not None, f"line {number}: the agent closed the link instead of saying {wanted}"
        wrong = self._mismatch(wanted, frame, "")
        assert wrong is None, f"line {number}: {wrong}\nexpected {wanted}\ngot      {frame}"

    async def _next(self, *, logs: bool) -> Any:
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if logs or frame["type"] != "log":
                    return frame
            data = await self._reader.read(1 << 16)
            if not data:
                return None
            self._frames += [json.loads(body) for body in self._buffer.feed(data)]

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return self._bound[value] if isinstance(value, str) and _PLACEHOLDER.fullmatch(value) else value

    def _mismatch(self, wanted: Any, got: Any, path: str) -> str | None:
        placeholder = _PLACEHOLDER.fullmatch(wanted) if isinstance(wanted, str) else None
        if placeholder is not None:
            return self._placeholder_mismatch(placeholder, got, path)
        if isinstance(wanted, dict) and isinstance(got, dict):
            if set(wanted) != set(got):
                return f"{path}: members {sorted(got)} instead of {sorted(wanted)}"
            found = (self._mismatch(wanted[key], got[key], f"{path}/{key}") for key in wanted)
            return next((wrong for wrong in found if wrong is not None), None)
        if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
            found = (self._mismatch(w, g, f"{path}/{n}") for n, (w, g) in enumerate(zip(wanted, got, strict=True)))
            return next((wrong for wrong in found if wrong is not None), None)
        return None if wanted == got and type(wanted) is type(got) else f"{path}: {got!r} instead of {wanted!r}"

    def _placeholder_mismatch(self, placeholder: "re.Match[str]", got: Any, path: str) -> str | None:
        kind, name = placeholder.groups()
        fits = {
            "any": True,
            "text": isinstance(got, str) and got != "",
            "int": type(got) is int,
        }.get(kind, isinstance(got, str) and re.fullmatch(f"{kind}-[a-z2-7]{{16}}", got) is not None)
        if not fits:
            return f"{path}: {got!r} is no {placeholder[0]}"
        if name and self._bound.setdefault(placeholder[0], got) != got:
            return f"{path}: {got!r} is not the {placeholder[0]} of before"
        return None
