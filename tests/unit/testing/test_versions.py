"""Versions in the harness: the same answers as on a host."""

import sys

import pytest

from podium.agent import AgentContext, AgentRequestError, BaseAgent
from podium.testing import AgentHarness


class Writer(BaseAgent):
    """Writes, names, looks and takes back as it is told."""

    async def on_message(self, ctx: AgentContext, message: dict[str, str]) -> None:
        verb, *arguments = message["text"].split()
        reply = await ctx.send_message()
        try:
            answer = await self._do(ctx, verb, arguments)
        except AgentRequestError as error:
            answer = f"refused: {error}"
        await reply.stream_token(str(answer), final=True)

    async def _do(self, ctx: AgentContext, verb: str, arguments: list[str]) -> object:
        file = ctx.workspace / "notes.txt"
        match verb:
            case "write":
                file.write_text(arguments[0])
                return file.read_text()
            case "name":
                return await ctx.checkpoint(arguments[0])
            case "versions":
                return [(found["kind"], found["size"]) for found in await ctx.history(file)]
            case "all":
                return len(await ctx.history())
            case "back":
                moment = int(arguments[0]) if arguments[0].isdigit() else arguments[0]
                await ctx.restore(moment, "notes.txt" if len(arguments) > 1 else "")
                return file.read_text() if file.exists() else "gone"
        return "?"


async def test_an_agent_names_moments_sees_versions_and_takes_back() -> None:
    async with AgentHarness(Writer) as agent:
        await agent.send("write one")
        assert (await agent.send("name good")).text == "1"
        await agent.send("write three")
        assert (await agent.send("versions")).text == "[('modify', 5), ('create', 3)]"
        assert (await agent.send("all")).text == "2"
        assert (await agent.send("back good")).text == "one"
        assert (await agent.send("back 2 path")).text == "three"
        assert (await agent.send("back 0")).text == "gone"


async def test_moments_that_never_were_are_refused_with_the_reason() -> None:
    async with AgentHarness(Writer) as agent:
        await agent.send("write one")
        assert "99" in (await agent.send("back 99")).text
        assert (await agent.send("back never")).text.startswith("refused: ")
        assert (await agent.send("write two")).text == "two"


async def test_without_chronicle_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "chronicle" or name.startswith("chronicle.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "chronicle", None)
    async with AgentHarness(Writer) as agent:
        await agent.send("write one")
        assert "podium[chronicle]" in (await agent.send("name good")).text
