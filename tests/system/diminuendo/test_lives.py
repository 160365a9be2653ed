"""Sessions outlive their instances, their connections, and Diminuendo itself."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.system.diminuendo.people import Process, Tenant, gapless, text_of
from tests.system.diminuendo.test_conversations import begun, talked


@pytest.mark.proves("DIM-IDLE")
async def test_an_idle_session_lets_its_agent_go_and_the_next_turn_continues_it(
    diminuendo: Process, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    process = diminuendo.another(tmp_path, DIMINUENDO_IDLE="200ms")
    await process.start()
    try:
        async with Tenant(process, session, "acme").person() as ann:
            session_id = await begun(ann, "echo")
            first = await talked(ann, session_id, "one")
            asleep = await ann.until("session_state", after=first["seq"], state="inactive")
            second = await talked(ann, session_id, "two")
            assert second["finalText"] == "2: two"
            assert second["seq"] > asleep["seq"]
            assert gapless(ann.events)
    finally:
        process.close()


@pytest.mark.proves("DIM-RECOVERY", "DIM-RESUME")
async def test_a_turn_outlives_a_diminuendo_that_is_killed_in_the_middle(mortal: Tenant) -> None:
    key = mortal.process.key("ann", mortal.tenant_id)
    async with mortal.person(key=key) as ann:
        session_id = await begun(ann, "counter")
        wanted = {"sessionId": session_id, "text": "count to 30", "clientTurnId": "mine"}
        turn = await ann.ask("run_turn", **wanted)
        await ann.until("text_delta", text="3 ")
        mortal.process.kill()
        await ann.closed()
        before = list(ann.events)
    await mortal.process.start()
    async with mortal.person(key=key) as again:
        await again.ask("join_session", sessionId=session_id, afterSeq=before[-1]["seq"])
        assert (await again.ask("run_turn", **wanted))["turnId"] == turn["turnId"]
        complete = await again.until("turn_complete", turnId=turn["turnId"])
        everything = [*before, *again.events]
        assert gapless(everything)
        assert text_of(everything, turn["turnId"]) == complete["finalText"]
        await again.until("session_state", after=complete["seq"], state="ready")
        stored = await again.ask("get_events", sessionId=session_id, afterSeq=0, limit=1000)
        assert stored["events"][: len(everything)] == everything


@pytest.mark.proves("DIM-RECOVERY")
async def test_a_question_outlives_a_diminuendo_that_stops_and_is_answered_at_once(mortal: Tenant) -> None:
    key = mortal.process.key("ann", mortal.tenant_id)
    async with mortal.person(key=key) as ann:
        session_id = await begun(ann, "asker")
        await ann.ask("run_turn", sessionId=session_id, text="question")
        asked = await ann.until("question_requested")
        assert await asyncio.to_thread(mortal.process.stop) == 0
        assert await ann.closed() == 1012
    await mortal.process.start()
    async with mortal.person(key=key) as again:
        answer = {"requestId": asked["requestId"], "answers": {"q": "a"}}
        await again.ask("answer_question", sessionId=session_id, **answer)
        await again.ask("join_session", sessionId=session_id, afterSeq=asked["seq"])
        assert (await again.until("turn_complete"))["finalText"] == '{"q": "a"}'


@pytest.mark.proves("DIM-RECOVERY")
async def test_a_session_whose_instance_ended_meanwhile_says_so_and_begins_again(mortal: Tenant) -> None:
    key = mortal.process.key("ann", mortal.tenant_id)
    async with mortal.person(key=key) as ann:
        session_id = await begun(ann, "slow")
        turn = await ann.ask("run_turn", sessionId=session_id, text="wait")
        await ann.until("text_delta", text="waiting")
        mortal.process.kill()
    async with mortal.process.podium() as podium:
        (instance,) = [found async for found in podium.instances.list(agent_id=session_id)]
        await podium.stop_instance(instance.instance_id)
    await mortal.process.start()
    async with mortal.person(key=key) as again:
        await again.ask("join_session", sessionId=session_id, afterSeq=0)
        await again.until("session_state", state="inactive")
        complete = await talked(again, session_id, "raise no more")
        assert complete["finalText"] == "done raise no more"
        assert gapless(again.events)
        ends = [
            event for event in again.events if event["turnId"] == turn["turnId"] and event["type"].startswith("turn_")
        ]
        assert [event["type"] for event in ends][:2] in (
            ["turn_started", "turn_error"],
            ["turn_started", "turn_complete"],
        )
