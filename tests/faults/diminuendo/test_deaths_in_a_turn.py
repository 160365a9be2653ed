"""Whatever is killed in the middle of a turn, clients are told the turn to its end, each event once."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.agents import Source, source
from tests.system.api import Caller
from tests.system.daemons import Daemon, Daemons
from tests.system.diminuendo.conftest import COUNTER
from tests.system.diminuendo.people import Person, Process, Tenant, gapless, text_of
from tests.system.diminuendo.test_conversations import begun, talked

RESTART = '[process]\nrestart = { attempts = 50, window = "60s", backoff = "20ms" }\n'
LAST = 25


@pytest.mark.proves("DIM-DEATHS", "DIM-RESUME")
async def test_clients_are_told_the_whole_turn_whoever_dies_in_it(tmp_path: Path) -> None:
    daemons = Daemons(tmp_path / "platform")
    process: Process | None = None
    try:
        await daemons.start_all()
        async with aiohttp.ClientSession() as http:
            caller = Caller(daemons, http, await daemons.key("people"))
            code = COUNTER.read_text().replace("class Counter", "class Agent")
            await caller.deploy(tmp_path / "counter", "counter", Source("python", code), extra=RESTART)
            await caller.deploy(tmp_path / "mortal", "mortal", source("mortal"), extra=RESTART)
            assert caller.key is not None
            process = Process(tmp_path / "diminuendo", daemons.url, caller.key)
            await process.start()
            tenant = Tenant(process, http, "acme")
            async with tenant.person() as ann:
                await _turn_with_a_dead_agent(ann)
                await _turn_with_a_dead_daemon(ann, daemons, "gateway")
                await _turn_with_a_dead_daemon(ann, daemons, "coordinator")
            await _turn_with_everything_between_dead(tenant, daemons)
    finally:
        if process is not None:
            process.close()
            process.check()
        await asyncio.to_thread(daemons.close)


async def _turn_with_a_dead_daemon(ann: Person, daemons: Daemons, victim: Daemon) -> None:
    session_id = await begun(ann, "counter")
    turn = await ann.ask("run_turn", sessionId=session_id, text=f"count to {LAST}")
    await ann.until("text_delta", sessionId=session_id, text="3 ")
    daemons.kill(victim)
    daemons.start(victim)
    complete = await ann.until("turn_complete", sessionId=session_id, turnId=turn["turnId"])
    assert complete["finalText"].endswith(f"{LAST} "), victim
    await _check(ann, session_id, complete)
    assert (await talked(ann, session_id, "still there?"))["finalText"].startswith("message 2"), victim


async def _turn_with_everything_between_dead(tenant: Tenant, daemons: Daemons) -> None:
    """Diminuendo and the gateway are killed; Diminuendo is back first, and finds nobody to ask."""
    key = tenant.process.key("bob", tenant.tenant_id)
    async with tenant.person(key=key) as bob:
        session_id = await begun(bob, "counter")
        turn = await bob.ask("run_turn", sessionId=session_id, text=f"count to {LAST}")
        await bob.until("text_delta", sessionId=session_id, text="3 ")
        tenant.process.kill()
        daemons.kill("gateway")
        await bob.closed()
        before = list(bob.events)
    await tenant.process.start()
    async with tenant.person(key=key) as again:
        joined = await again.ask("join_session", sessionId=session_id, afterSeq=before[-1]["seq"])
        assert joined["session"]["state"] == "activating"
        daemons.start("gateway")
        complete = await again.until("turn_complete", turnId=turn["turnId"])
        assert gapless([*before, *again.events])
        assert complete["finalText"].endswith(f"{LAST} ")
        assert text_of([*before, *again.events], turn["turnId"]) == complete["finalText"]


async def _turn_with_a_dead_agent(ann: Person) -> None:
    session_id = await begun(ann, "mortal")
    turn = await ann.ask("run_turn", sessionId=session_id, text="word")  # ends itself in the middle of it
    asked = await ann.until("permission_requested", sessionId=session_id)
    await ann.ask("answer_question", sessionId=session_id, requestId=asked["requestId"], optionId="allow_once")
    complete = await ann.until("turn_complete", sessionId=session_id, turnId=turn["turnId"])
    assert complete["finalText"] == "some words"
    await _check(ann, session_id, complete)


async def _check(ann: Person, session_id: str, complete: dict[str, Any]) -> None:
    await ann.until("session_state", after=complete["seq"], sessionId=session_id, state="ready")
    seen = [event for event in ann.events if event["sessionId"] == session_id]
    assert gapless(seen)
    assert [event["type"] for event in seen if event["type"] in ("turn_complete", "turn_error")] == ["turn_complete"]
    stored = await ann.ask("get_events", sessionId=session_id, afterSeq=0, limit=1000)
    assert stored["events"][: len(seen)] == seen
    history = await ann.ask("get_history", sessionId=session_id)
    assert [said["role"] for said in history["messages"]] == ["user", "assistant"]
