"""The official TypeScript library, and a command-line client people use, with agents of either language."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from podium.base.bun import find_bun
from tests.bun import needs_bun, run_bun
from tests.system.acp.editors import CWD, Office

EDITORS = Path(__file__).parents[3] / "typescript" / "editors"
ACPX = EDITORS / "node_modules" / "acpx" / "dist" / "cli.js"
SECONDS = 60.0

pytestmark = [
    needs_bun,
    pytest.mark.skipif(not ACPX.exists(), reason="run `bun install` in typescript/ (make lint does)"),
]


@pytest.mark.parametrize("transport", ["stdio", "websocket"])
@pytest.mark.proves("DIM-ACP", "DIM-ACP-REPLAY", "DIM-ACP-PERMISSION", "DIM-ACP-CANCEL")
async def test_the_typescript_library_holds_whole_conversations(office: Office, transport: str) -> None:
    if transport == "stdio":
        way: dict[str, Any] = {"command": ["env", *office.variables, *office.command("editor-ts")]}
    else:
        way = {"url": office.address("/acp?agent=editor-ts"), "token": office.diminuendo.key("bob", "acme")}
    code, said = await run_bun(EDITORS / "src" / "converse.ts", json.dumps(way), CWD, cwd=EDITORS, seconds=SECONDS)
    assert code == 0, said
    saw = json.loads(said)
    before, after = saw["before"], saw["after"]
    assert before["live"].pop("end") == "end_turn"
    for shown in (before["live"], after["loaded"]):
        assert (shown["answer"], shown["thoughts"]) == ("Hello, editor!", "hm, yes") or shown is after["loaded"]
        assert [entry["content"] for entry in shown["plan"][0]["entries"]] == ["look", "change"]
        change = {
            "type": "diff",
            "path": f"{CWD}/settings.toml",
            "oldText": "debug = false\n",
            "newText": "debug = true\n",
        }
        assert shown["edit"]["status"] == "completed"
        assert change in shown["edit"]["content"]
        assert (shown["shell"]["status"], shown["shell"]["rawOutput"]) == ("completed", {"exit_code": 0})
        assert shown["usage"][0]["cost"] == {"amount": 0.0025, "currency": "USD"}
    assert before["permissions"] == [
        ["end_turn", "permission: allow_once"],
        ["end_turn", "permission: reject_once"],
        ["cancelled", ""],
    ]
    assert before["stopped"] == "cancelled"
    assert before["form"] == [["The agent has some questions."], 'answers: {"name":"Bob","why":"because"}']
    assert after["listed"]
    assert after["loaded"]["answer"].startswith("Hello, editor!permission: allow_once")
    assert after["said"].startswith("hello think plan edit shell cost")
    assert after["next"] == ["end_turn", "Hello, editor!"]


@pytest.mark.proves("DIM-ACP")
async def test_acpx_runs_prompts(office: Office, tmp_path: Path) -> None:
    async def acpx(*arguments: str) -> tuple[int | None, str]:
        agent = " ".join(["env", *office.variables, *office.command()])
        home = ["env", f"HOME={tmp_path}", str(find_bun())]
        process = await asyncio.create_subprocess_exec(
            *home, ACPX, "--agent", agent, "--cwd", tmp_path, *arguments, cwd=tmp_path, stdout=-1, stderr=-1
        )
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        return process.returncode, out.decode()

    code, said = await acpx("--approve-all", "--format", "json", "exec", "hello think plan edit shell permission")
    assert code == 0, said
    events = [json.loads(line) for line in said.splitlines()]
    kinds = {event["params"]["update"]["sessionUpdate"] for event in events if event.get("method") == "session/update"}
    assert kinds >= {"agent_message_chunk", "agent_thought_chunk", "plan", "tool_call", "tool_call_update"}
    assert {"stopReason": "end_turn"} in [event["result"] for event in events if "result" in event]
