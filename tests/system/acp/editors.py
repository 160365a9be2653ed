"""Editors: clients made with the official library for Python, and the two ways by which they reach an agent."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import acp
from acp.client.connection import ClientSideConnection
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    InitializeResponse,
    PermissionOption,
    RequestPermissionResponse,
    ToolCallUpdate,
)
from acp.ws import create_websocket_stream

from tests.system.daemons import Daemons
from tests.system.diminuendo.people import Process
from tests.waiting import wait_until

SECONDS = 30.0
CWD = "/srv/ada/project"

Update = dict[str, Any]
Choose = Callable[[list[PermissionOption]], str | None]
"""The id of the option that is taken; None: the turn was cancelled."""


def allow(options: list[PermissionOption]) -> str:
    """Takes what allows."""
    return next(option.option_id for option in options if option.kind.startswith("allow"))


def reject(options: list[PermissionOption]) -> str:
    """Takes what rejects."""
    return next(option.option_id for option in options if option.kind.startswith("reject"))


class Editor(acp.Client):
    """Shows everything, and answers permissions with `choose`. While `held` is set, a permission waits for it."""

    def __init__(self, choose: Choose = allow) -> None:
        self.choose = choose
        self.updates: list[Update] = []
        self.asked: list[tuple[ToolCallUpdate, list[PermissionOption]]] = []
        self.held: asyncio.Event | None = None

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update.model_dump(mode="json", by_alias=True, exclude_none=True))

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        self.asked.append((tool_call, options))
        if self.held is not None:
            await self.held.wait()
        chosen = self.choose(options)
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen))

    def of(self, kind: str) -> list[Update]:
        """Updates of a kind, in order."""
        return [update for update in self.updates if update["sessionUpdate"] == kind]

    def text(self, kind: str = "agent_message_chunk") -> str:
        """All text of a kind."""
        return "".join(update["content"]["text"] for update in self.of(kind))

    def call(self, title: str) -> Update:
        """The newest tool call of this title as it is shown now: what was told of it, put together."""
        found: Update = {}
        for update in self.updates:
            if update["sessionUpdate"] == "tool_call" and update["title"] == title:
                found = dict(update)
            elif update["sessionUpdate"] == "tool_call_update" and update["toolCallId"] == found.get("toolCallId"):
                found |= update
        return found


@dataclass
class Connected:
    """An editor whose connection is initialized."""

    editor: Editor
    agent: ClientSideConnection
    about: InitializeResponse
    session_id: str = ""

    async def new(self) -> str:
        """Opens a new session."""
        self.session_id = (await self.agent.new_session(cwd=CWD)).session_id
        return self.session_id

    async def say(self, *blocks: Any) -> str:
        """A prompt of texts and blocks; its stop reason. What was shown before is forgotten."""
        self.editor.updates.clear()
        prompt = [acp.text_block(block) if isinstance(block, str) else block for block in blocks]
        async with asyncio.timeout(SECONDS):
            return (await self.agent.prompt(session_id=self.session_id, prompt=prompt)).stop_reason

    async def shown(self, condition: Callable[[Editor], object]) -> None:
        """Waits until the editor shows something."""
        await wait_until(lambda: condition(self.editor), SECONDS)


@dataclass
class Office:
    """A platform with agents for editors, a Diminuendo before it, and ways to connect."""

    daemons: Daemons
    diminuendo: Process
    key: str
    directory: Path

    @property
    def variables(self) -> list[str]:
        """What an editor's settings give to what it starts: `NAME=VALUE`."""
        home = self.directory / "xdg"
        return [f"PODIUM_URL={self.daemons.url}", f"PODIUM_API_KEY={self.key}", f"XDG_DATA_HOME={home}"]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of what an editor starts."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PODIUM_")}
        return kept | dict(variable.split("=", 1) for variable in self.variables)

    def command(self, agent_type: str = "editor") -> list[str]:
        """What an editor starts."""
        return [sys.executable, "-m", "podium.cli", "acp", "--agent", agent_type]

    def address(self, path: str = "/acp?agent=editor") -> str:
        """Where an editor connects to."""
        return f"ws://127.0.0.1:{self.diminuendo.port}{path}"

    @asynccontextmanager
    async def another_diminuendo(self, directory: Path) -> AsyncIterator["Office"]:
        """The same with a Diminuendo of the caller's own, which may be killed."""
        own = Process(directory, self.daemons.url, self.key)
        await own.start()
        try:
            yield replace(self, diminuendo=own)
        finally:
            own.close()

    @asynccontextmanager
    async def stdio(self, editor: Editor) -> AsyncIterator[ClientSideConnection]:
        """A connection to a `podium acp` of its own."""
        command, *arguments = self.command()
        spawned = acp.spawn_agent_process(
            editor, command, *arguments, env=self.environment, transport_kwargs={"stderr": subprocess.PIPE}
        )
        async with spawned as (agent, process):
            yield agent
        assert process.returncode == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""

    @asynccontextmanager
    async def websocket(self, editor: Editor, user: str = "ada") -> AsyncIterator[ClientSideConnection]:
        """A connection to Diminuendo."""
        headers = {"Authorization": f"Bearer {self.diminuendo.key(user, 'acme')}"}
        agent = ClientSideConnection(editor, await create_websocket_stream(self.address(), headers=headers))
        try:
            yield agent
        finally:
            await agent.close()

    @asynccontextmanager
    async def connected(self, transport: str, choose: Choose = allow, **capabilities: Any) -> AsyncIterator[Connected]:
        """An initialized connection by `stdio` or `websocket`."""
        editor = Editor(choose)  # type: ignore[abstract]  # what it can't do it does not offer
        async with getattr(self, transport)(editor) as agent:
            client = acp.schema.ClientCapabilities.model_validate(capabilities)
            about = await agent.initialize(protocol_version=1, client_capabilities=client)
            yield Connected(editor, agent, about)
