"""Whole conversations of people's programs with real agents, over the client protocol."""

import asyncio
from typing import Any

import pytest

from tests.system.diminuendo.people import ErrorAnswer, Person, Tenant, gapless, text_of
from tests.waiting import wait_until


async def begun(person: Person, agent_type: str, **more: Any) -> str:
    """A new session that the person has joined; its id."""
    made = await person.ask("create_session", agentType=agent_type, **more)
    session_id: str = made["session"]["sessionId"]
    await person.ask("join_session", sessionId=session_id, afterSeq=0)
    return session_id


async def talked(person: Person, session_id: str, text: str) -> dict[str, Any]:
    """A whole turn; its `turn_complete`."""
    turn = await person.ask("run_turn", sessionId=session_id, text=text)
    return await person.until("turn_complete", sessionId=session_id, turnId=turn["turnId"])


@pytest.mark.proves("DIM-CONVERSATION", "DIM-SEQ")
async def test_a_conversation_from_its_session_to_its_last_word(tenant: Tenant) -> None:
    async with tenant.person() as ann:
        made = await ann.ask("create_session", agentType="echo", name="first", metadata={"project": "p"})
        session = made["session"]
        assert (session["state"], session["name"], session["createdBy"]) == ("inactive", "first", "ann")
        joined = await ann.ask("join_session", sessionId=session["sessionId"])
        assert (joined["type"], joined["lastSeq"], joined["recentHistory"]) == ("state_snapshot", 0, [])
        complete = await talked(ann, session["sessionId"], "hello")
        assert (complete["finalText"], complete["stopReason"]) == ("1: hello", "end_turn")
        turn_id = complete["turnId"]
        await ann.until("session_state", after=complete["seq"], state="ready")
        assert gapless(ann.events)
        assert text_of(ann.events, turn_id) == "1: hello"
        states = [event["state"] for event in ann.events if event["type"] == "session_state"]
        assert states == ["activating", "ready", "running", "ready"]
        history = await ann.ask("get_history", sessionId=session["sessionId"])
        assert [(said["role"], said["text"]) for said in history["messages"]] == [
            ("user", "hello"),
            ("assistant", "1: hello"),
        ]
        stored = await ann.ask("get_events", sessionId=session["sessionId"], afterSeq=0, limit=1000)
        assert stored["events"] == ann.events
        assert not stored["hasMore"]
        listed = await ann.ask("list_sessions")
        assert [(known["sessionId"], known["state"]) for known in listed["sessions"]] == [
            (session["sessionId"], "ready")
        ]


@pytest.mark.proves("DIM-RESUME")
async def test_who_comes_back_gets_what_was_missed_once_and_in_order(tenant: Tenant) -> None:
    key = tenant.process.key("ann", tenant.tenant_id)
    async with tenant.person(key=key) as ann:
        session_id = await begun(ann, "counter")
        turn = await ann.ask("run_turn", sessionId=session_id, text="count to 25")
        await ann.until("text_delta", text="3 ")
        before = list(ann.events)
    async with tenant.person(key=key) as again:
        last = before[-1]["seq"]
        joined = await again.ask("join_session", sessionId=session_id, afterSeq=last)
        assert joined["session"]["state"] == "running"
        complete = await again.until("turn_complete", turnId=turn["turnId"])
        assert gapless([*before, *again.events])
        assert text_of([*before, *again.events], turn["turnId"]) == complete["finalText"]


@pytest.mark.proves("DIM-FAN-OUT")
async def test_everybody_who_joined_sees_the_same(tenant: Tenant) -> None:
    async with tenant.person("ann") as ann, tenant.person("bob") as bob, tenant.person("eve", "viewer") as eve:
        session_id = await begun(ann, "counter")
        for person in (bob, eve):
            await person.ask("join_session", sessionId=session_id, afterSeq=0)
        first, second = await asyncio.gather(
            ann.ask("run_turn", sessionId=session_id, text="count to 5"),
            bob.ask("run_turn", sessionId=session_id, text="hi"),
        )
        assert first["turnId"] != second["turnId"]
        for person in (ann, bob, eve):
            await person.until("turn_complete", turnId=first["turnId"])
            await person.until("turn_complete", turnId=second["turnId"])
        await wait_until(lambda: len(ann.events) == len(bob.events) == len(eve.events))
        assert ann.events == bob.events == eve.events
        assert gapless(ann.events)
        created = [event for event in ann.events if event["type"] == "sandbox_ready"]
        assert len(created) == 1, "one instance for both turns"
        await bob.ask("leave_session", sessionId=session_id)
        await talked(ann, session_id, "once more")
        await eve.until("turn_complete", finalText="message 3: 'once more'")
        assert len(bob.events) < len(eve.events)
        with pytest.raises(ErrorAnswer, match="FORBIDDEN"):
            await eve.ask("run_turn", sessionId=session_id, text="me too")


@pytest.mark.proves("DIM-ONCE")
async def test_a_turn_that_is_sent_again_is_done_once(tenant: Tenant) -> None:
    async with tenant.person() as ann:
        session_id = await begun(ann, "echo")
        wanted = {"sessionId": session_id, "text": "hello", "clientTurnId": "mine"}
        first, second = await asyncio.gather(ann.ask("run_turn", **wanted), ann.ask("run_turn", **wanted))
        third = await ann.ask("run_turn", **wanted)
        assert first["turnId"] == second["turnId"] == third["turnId"]
        complete = await talked(ann, session_id, "another")
        assert complete["finalText"] == "2: another"


@pytest.mark.proves("DIM-ASKING")
@pytest.mark.parametrize(
    ("said", "asked", "answer", "final"),
    [
        ("question", "question_requested", {"answers": {"q": "b"}}, '{"q": "b"}'),
        ("leave", "permission_requested", {"optionId": "yes"}, "yes"),
    ],
)
async def test_what_an_agent_asks_is_answered_by_whoever_is_there(
    tenant: Tenant, said: str, asked: str, answer: dict[str, Any], final: str
) -> None:
    async with tenant.person() as ann:
        session_id = await begun(ann, "asker")
        await ann.ask("run_turn", sessionId=session_id, text=said)
        request = await ann.until(asked)
        await ann.until("session_state", state="waiting")
        async with tenant.person("bob") as bob:
            joined = await bob.ask("join_session", sessionId=session_id)
            assert joined["session"]["state"] == "waiting"
            assert joined["pending"] == [request]
            # Here `requestId` is the question's and the answer's.
            acked = await bob.ask("answer_question", sessionId=session_id, requestId=request["requestId"], **answer)
            assert acked["type"] == "ack"
            complete = await bob.until("turn_complete")
            assert complete["finalText"] == final
        await ann.until("approval_resolved", requestId=request["requestId"])
        await ann.until("turn_complete")


@pytest.mark.proves("DIM-TURN-CONTROL")
async def test_a_turn_is_steered_and_stopped(tenant: Tenant) -> None:
    async with tenant.person() as ann:
        session_id = await begun(ann, "slow")
        with pytest.raises(ErrorAnswer, match="INVALID_MESSAGE"):
            await ann.ask("steer", sessionId=session_id, text="nobody runs")
        await ann.ask("run_turn", sessionId=session_id, text="steerable")
        await ann.until("session_state", state="running")
        await ann.ask("steer", sessionId=session_id, text="to the left")
        complete = await ann.until("turn_complete")
        assert complete["finalText"] == "to the left"
        waiting = await ann.ask("run_turn", sessionId=session_id, text="wait")
        await ann.until("text_delta", text="waiting")
        await ann.ask("stop_turn", sessionId=session_id)
        stopped = await ann.until("turn_complete", turnId=waiting["turnId"])
        assert stopped["stopReason"] == "cancelled"
        await ann.until("session_state", after=stopped["seq"], state="ready")


@pytest.mark.proves("DIM-FILES")
async def test_files_and_their_history_are_seen_through_the_session(tenant: Tenant) -> None:
    async with tenant.person() as ann:
        session_id = await begun(ann, "scribe")
        assert (await ann.ask("list_files", sessionId=session_id))["files"] == [], "nobody has spoken yet"
        await talked(ann, session_id, "sh echo one > a.txt; mkdir b; echo deep > b/c.txt")
        await talked(ann, session_id, "sh echo two > a.txt")
        listed = await ann.ask("list_files", sessionId=session_id, depth=2)
        assert {"a.txt", "b", "b/c.txt"} <= {entry["path"] for entry in listed["files"]}
        content = await ann.ask("read_file", sessionId=session_id, path="a.txt")
        assert (content["content"], content["encoding"]) == ("two\n", "utf-8")
        history = await ann.ask("file_history", sessionId=session_id, path="a.txt")
        oldest = min(version["iteration"] for version in history["versions"] if version.get("size") == len("one\n"))
        old = await ann.ask("file_at_iteration", sessionId=session_id, path="a.txt", iteration=oldest)
        assert (old["content"], old["path"]) == ("one\n", "a.txt")
        with pytest.raises(ErrorAnswer, match="INVALID_MESSAGE"):
            await ann.ask("read_file", sessionId=session_id, path="not/there")
        assert (await ann.ask("archive_session", sessionId=session_id))["session"]["state"] == "inactive"
        again = await ann.ask("read_file", sessionId=session_id, path="a.txt")
        assert again["content"] == "two\n", "files are there without an instance, too"


@pytest.mark.proves("DIM-ARCHIVE")
async def test_an_archived_session_lets_its_agent_go_and_goes_on_when_it_is_taken_back(tenant: Tenant) -> None:
    async with tenant.person() as ann:
        session_id = await begun(ann, "echo")
        await talked(ann, session_id, "one")
        archived = await ann.ask("archive_session", sessionId=session_id)
        assert (archived["session"]["archived"], archived["session"]["state"]) == (True, "inactive")
        assert (await ann.ask("list_sessions"))["sessions"] == []
        with pytest.raises(ErrorAnswer, match="FORBIDDEN"):
            await ann.ask("run_turn", sessionId=session_id, text="two")
        await ann.ask("unarchive_session", sessionId=session_id)
        renamed = await ann.ask("rename_session", sessionId=session_id, name="again")
        assert renamed["session"]["name"] == "again"
        assert (await talked(ann, session_id, "two"))["finalText"] == "2: two"
        assert gapless(ann.events)


@pytest.mark.proves("DIM-DELETE")
async def test_a_deleted_session_is_gone_and_its_agent_erased(tenant: Tenant) -> None:
    async with tenant.person() as ann, tenant.person("bob") as bob:
        session_id = await begun(ann, "echo")
        await bob.ask("join_session", sessionId=session_id)
        await talked(ann, session_id, "one")
        with pytest.raises(ErrorAnswer, match="FORBIDDEN"):
            await bob.ask("delete_session", sessionId=session_id)
        await ann.ask("delete_session", sessionId=session_id)
        await bob.hears("session_deleted", sessionId=session_id)
        with pytest.raises(ErrorAnswer, match="SESSION_NOT_FOUND"):
            await ann.ask("get_history", sessionId=session_id)
        assert not (tenant.process.data / "sessions" / session_id).exists()
        never_begun = await ann.ask("create_session", agentType="echo")
        await ann.ask("delete_session", sessionId=never_begun["session"]["sessionId"])
        assert (await ann.ask("list_sessions", includeArchived=True))["sessions"] == []


@pytest.mark.proves("DIM-REWIND")
async def test_what_lies_behind_a_rewind_is_not_told_any_more(tenant: Tenant) -> None:
    podium = tenant.process.podium()
    async with podium, tenant.person() as ann:
        session_id = await begun(ann, "echo")
        first = await talked(ann, session_id, "one")
        await talked(ann, session_id, "two")
        await wait_until(lambda: ann.events[-1].get("state") == "ready")
        rewound = await podium.moments.rewind(session_id, first["turnId"])
        shown = await ann.hears("state_snapshot")
        assert [said["text"] for said in shown["recentHistory"]] == ["one", "1: one"]
        assert (await talked(ann, session_id, "other"))["finalText"] == "2: other"
        told = await ann.ask("get_history", sessionId=session_id)
        assert [said["text"] for said in told["messages"]] == ["one", "1: one", "other", "2: other"]
        await wait_until(lambda: ann.events[-1].get("state") == "ready")
        await podium.moments.rewind(session_id, rewound.undo)
        await wait_until(lambda: len([said for said in ann.told if said["type"] == "state_snapshot"]) == 2)
        told = await ann.ask("get_history", sessionId=session_id)
        assert [said["text"] for said in told["messages"]] == ["one", "1: one", "two", "2: two"]


async def test_an_agent_nobody_deployed_is_an_error_and_the_session_stays(tenant: Tenant) -> None:
    async with tenant.person() as ann:
        session_id = await begun(ann, "nobody")
        for _ in range(2):
            with pytest.raises(ErrorAnswer, match="PODIUM_UNAVAILABLE"):
                await ann.ask("run_turn", sessionId=session_id, text="hello")
        await ann.until("session_state", state="error")
        await ann.ask("delete_session", sessionId=session_id)
